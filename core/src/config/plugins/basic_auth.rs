//! The document of the `basic_auth` plug-in of wasm-extensions.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::config::{Load, Pointer};
use crate::filter::basic_auth::{BasicAuth, NewRule, REALM, Take, challenge};
use crate::policy::Mode;
use crate::syntax::password_hash::StoredCredential;
use crate::when::{self, PathFields, PathMatch, When};

/// The whole document of the `basic_auth` plug-in of wasm-extensions, as it is deployed.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "plugin_basic_auth")
)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// Every rule that a request matches must pass; a request that matches none passes.
    basic_auth_rules: Vec<Rule>,
    /// The realm of the challenge; default `istio`.
    realm: Option<String>,
    /// What the filter does with its verdict.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "enforce")))]
    pub(super) mode: Mode,
}

/// Exactly one of `prefix`, `exact` and `suffix`.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        rename = "plugin_basic_auth_rule",
        extend("oneOf" = [{"required": ["prefix"]}, {"required": ["exact"]}, {"required": ["suffix"]}]),
    )
)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The path starts with this.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    prefix: Option<String>,
    /// The path is equal to this.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    exact: Option<String>,
    /// The path ends with this.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    suffix: Option<String>,
    /// Any of these hosts: `example.com`, `*.example.com`, `api.*`; all of them without it, or with an
    /// empty list.
    #[cfg_attr(feature = "schema", schemars(length(min = 0)))]
    hosts: Option<Vec<String>>,
    /// Any of these methods.
    request_methods: Vec<String>,
    /// `user:password`, or its base64.
    credentials: Vec<String>,
}

impl Document {
    pub(super) fn compile(self, load: &mut Load) -> Option<BasicAuth> {
        let root = Pointer::Root;
        let realm = self.realm.as_deref().unwrap_or(REALM);
        let challenge = challenge(realm, &root.key("realm"), load);
        let at = root.key("basic_auth_rules");
        let rules = load.each(self.basic_auth_rules, &at, |rule, at, load| rule.compile(at, load));
        let (challenge, rules): (_, Vec<_>) = (challenge?, rules?);
        let rules = rules.into_iter().map(|(when, credentials)| NewRule {
            when: Some(when),
            credentials,
            challenge: challenge.clone(),
        });
        Some(BasicAuth::new(rules.collect(), load))
    }
}

impl Rule {
    fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<(When, Vec<StoredCredential>)> {
        let path = match (self.prefix, self.exact, self.suffix) {
            (Some(text), None, None) => Some(PathFields::Prefix(text)),
            (None, Some(text), None) => Some(PathFields::Exact(text)),
            (None, None, Some(text)) => Some(PathFields::Suffix(text)),
            _ => None,
        };
        let path = load.expect(at, path, "exactly one of `prefix`, `exact`, `suffix`");
        let path = path.and_then(|path| PathMatch::compile(path, at, load));
        // There an empty list is no condition, and this document is taken as it is.
        let hosts = self.hosts.filter(|hosts| !hosts.is_empty());
        let hosts = when::hosts(hosts, &at.key("hosts"), load);
        let methods = when::methods(Some(self.request_methods), &at.key("request_methods"), load);
        let take = Take { hashes: false, forwards: false };
        let credentials = take.credentials(self.credentials, &at.key("credentials"), load);
        let when = When::of(hosts?, methods?, Some(alloc::boxed::Box::new([path?])));
        Some((when, credentials?))
    }
}
