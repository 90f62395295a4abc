//! The configurations of the plug-ins that people run today, read as whole documents.

mod basic_auth;
mod custom_errors;
mod token_exchange;

#[cfg(feature = "schema")]
pub(crate) use basic_auth::Document as BasicAuthDocument;
#[cfg(feature = "schema")]
pub(crate) use custom_errors::Document as CustomErrorsDocument;
#[cfg(feature = "schema")]
pub(crate) use token_exchange::Document as TokenExchangeDocument;

use alloc::string::String;

use serde::de::DeserializeOwned;

use super::{Json, Load, Pointer, Refusal};
use crate::filter::Filter;
use crate::policy::Mode;
use crate::policy::steps::Shipped;

/// What such a document becomes: one filter, under the name and mode that the chain gives it.
pub(crate) struct Plugin {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) filter: Shipped,
}

/// `None` where the document is in Pintle's own form.
pub(crate) fn read(
    document: &Json,
    members: &[(String, Json)],
    load: &mut Load,
) -> Option<Option<Plugin>> {
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    let key = PLUGIN_KEYS.into_iter().find(|key| has(key))?;
    if has("filters") {
        let expected = "no `filters` beside it: this is the whole document of another plug-in";
        load.refuse(&Pointer::Root.key(key), Refusal::Unacceptable { expected });
        return Some(None);
    }
    Some(match key {
        "basic_auth_rules" => {
            let mode = |fields: &basic_auth::Document| fields.mode;
            plugin(document, load, mode, basic_auth::Document::compile, Shipped::BasicAuth)
        }
        "auth_cluster_name" | "auth_authority" => {
            let mode = |fields: &token_exchange::Document| fields.mode;
            plugin(document, load, mode, token_exchange::Document::compile, Shipped::TokenExchange)
        }
        _ => {
            let mode = |fields: &custom_errors::Document| fields.mode;
            plugin(document, load, mode, custom_errors::Document::compile, Shipped::ProblemJson)
        }
    })
}

/// Fields that tell which plug-in's document it is.
pub const PLUGIN_KEYS: [&str; 8] = [
    "basic_auth_rules",
    "auth_cluster_name",
    "auth_authority",
    "targetURLPrefixes",
    "startStatusCode",
    "endStatusCode",
    "problemTypeURIMap",
    "problemTitle",
];

/// The one filter of a document, under the name of its kind.
fn plugin<D: DeserializeOwned, F: Filter>(
    document: &Json,
    load: &mut Load,
    mode: impl FnOnce(&D) -> Mode,
    compile: impl FnOnce(D, &mut Load) -> Option<F>,
    shipped: impl FnOnce(F) -> Shipped,
) -> Option<Plugin> {
    let fields = load.read::<D>(&Pointer::Root, document)?;
    let mode = mode(&fields);
    Some(Plugin { name: F::KIND, mode, filter: shipped(compile(fields, load)?) })
}
