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
use crate::filter::basic_auth::BasicAuth;
use crate::filter::problem_json::ProblemJson;
use crate::filter::token_exchange::TokenExchange;
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
    let (key, of) = PLUGIN_KEYS.into_iter().find(|(key, _)| has(key))?;
    if has("filters") {
        let expected = "no `filters` beside it: this is the whole document of another plug-in";
        load.refuse(&Pointer::Root.key(key), Refusal::Unacceptable { expected });
        return Some(None);
    }
    Some(match of {
        PluginDocument::BasicAuth => {
            let mode = |fields: &basic_auth::Document| fields.mode;
            plugin(document, load, mode, basic_auth::Document::compile, Shipped::BasicAuth)
        }
        PluginDocument::TokenExchange => {
            let mode = |fields: &token_exchange::Document| fields.mode;
            plugin(document, load, mode, token_exchange::Document::compile, Shipped::TokenExchange)
        }
        PluginDocument::CustomErrors => {
            let mode = |fields: &custom_errors::Document| fields.mode;
            plugin(document, load, mode, custom_errors::Document::compile, Shipped::ProblemJson)
        }
    })
}

/// A plug-in whose documents are read as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginDocument {
    /// Basic auth.
    BasicAuth,
    /// Token exchange.
    TokenExchange,
    /// Custom errors.
    CustomErrors,
}

impl PluginDocument {
    /// Whose document an object is that has these fields; `None` for Pintle's own form.
    ///
    /// ```
    /// use pintle_core::config::PluginDocument;
    ///
    /// let of = |field| PluginDocument::of(|name| name == field);
    /// assert_eq!(of("problemTitle"), Some(PluginDocument::CustomErrors));
    /// assert_eq!(of("filters"), None);
    /// ```
    pub fn of(has: impl Fn(&str) -> bool) -> Option<Self> {
        PLUGIN_KEYS.into_iter().find(|(key, _)| has(key)).map(|(_, of)| of)
    }

    /// The kind of filter that it becomes.
    pub fn kind(self) -> &'static str {
        match self {
            Self::BasicAuth => BasicAuth::KIND,
            Self::TokenExchange => TokenExchange::KIND,
            Self::CustomErrors => ProblemJson::KIND,
        }
    }
}

/// Fields that tell which plug-in's document it is.
pub const PLUGIN_KEYS: [(&str, PluginDocument); 8] = [
    ("basic_auth_rules", PluginDocument::BasicAuth),
    ("auth_cluster_name", PluginDocument::TokenExchange),
    ("auth_authority", PluginDocument::TokenExchange),
    ("targetURLPrefixes", PluginDocument::CustomErrors),
    ("startStatusCode", PluginDocument::CustomErrors),
    ("endStatusCode", PluginDocument::CustomErrors),
    ("problemTypeURIMap", PluginDocument::CustomErrors),
    ("problemTitle", PluginDocument::CustomErrors),
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
