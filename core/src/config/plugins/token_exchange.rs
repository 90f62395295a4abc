//! The document of the token-exchange plug-in of the series on writing one in Go.

use alloc::boxed::Box;
use alloc::string::String;

use serde::Deserialize;

use crate::config::{Load, Pointer};
use crate::fields::{Field, FieldName};
use crate::filter::token_exchange::config::{
    CacheFields, HEADER, LONGEST_TIMEOUT_MS, MAX_TOKEN_BYTES, Parts, Service, TIMEOUT_MS, cache,
};
use crate::filter::token_exchange::question::{Question, QuestionParts};
use crate::filter::token_exchange::reply::Form;
use crate::filter::token_exchange::{Otherwise, TokenExchange, TokenPlace};
use crate::policy::Mode;

/// What the plug-in asks for, whatever its configuration.
const PATH: &str = "/base64/RkFLRV9KV1QK";

/// The whole document of the token-exchange plug-in, as it is deployed; `mode` and `cache` are ours.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "plugin_token_exchange")
)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// The authority (`host`) that the service is asked under.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    auth_authority: String,
    /// The proxy's name of the cluster that the service is in.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    auth_cluster_name: String,
    /// When a request is no longer held for the service, in milliseconds; default 1000, as there.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = 3_600_000), extend("default" = 1000))
    )]
    auth_timeout_ms: Option<u32>,
    /// What the filter does with its verdict.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "enforce")))]
    pub(super) mode: Mode,
    /// Remembers tokens. Without it the service is asked for each request, as there.
    cache: Option<CacheFields>,
}

impl Document {
    pub(super) fn compile(self, load: &mut Load) -> Option<TokenExchange> {
        let root = Pointer::Root;
        let service = Service { cluster: self.auth_cluster_name, authority: self.auth_authority };
        let places = ["auth_cluster_name", "auth_authority"].map(|key| root.key(key));
        let service = service.check(places, load);
        let timeout_ms = self.auth_timeout_ms.unwrap_or(TIMEOUT_MS);
        let timeout_ms =
            (1..=LONGEST_TIMEOUT_MS).contains(&u64::from(timeout_ms)).then_some(timeout_ms);
        let timeout_ms = load.expect(&root.key("auth_timeout_ms"), timeout_ms, "1 to 3600000");
        let cache = cache(self.cache, MAX_TOKEN_BYTES, &root.key("cache"), load);
        let accept = Field::new(FieldName::parse("accept")?, "*/*")?;
        let question = QuestionParts {
            service: service?,
            path: PATH.into(),
            method: "GET".into(),
            timeout_ms: timeout_ms?,
            copied: Box::new([FieldName::AUTHORIZATION.clone()]),
            fields: alloc::vec![accept],
            grant: None,
        };
        let parts = Parts {
            question: Question::new(question),
            place: TokenPlace::Body,
            max_token_bytes: MAX_TOKEN_BYTES,
            header: FieldName::parse(HEADER)?,
            on_missing: Otherwise::Allow,
            on_unavailable: Otherwise::Deny,
            on_bad_answer: Otherwise::Deny,
            form: Form::Plugin,
            deny_format: None,
            cache: cache?,
        };
        Some(parts.build(load))
    }
}
