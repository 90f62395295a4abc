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

use super::{Json, Load, Pointer, Refusal};
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
    let key = KEYS.into_iter().find(|key| has(key))?;
    if has("filters") {
        let expected = "no `filters` beside it: this is the whole document of another plug-in";
        load.refuse(&Pointer::Root.key(key), Refusal::Unacceptable { expected });
        return Some(None);
    }
    Some(match key {
        "basic_auth_rules" => basic_auth(document, load),
        "auth_cluster_name" | "auth_authority" => token_exchange(document, load),
        _ => custom_errors(document, load),
    })
}

/// Fields that tell whose document it is.
const KEYS: [&str; 8] = [
    "basic_auth_rules",
    "auth_cluster_name",
    "auth_authority",
    "targetURLPrefixes",
    "startStatusCode",
    "endStatusCode",
    "problemTypeURIMap",
    "problemTitle",
];

fn basic_auth(document: &Json, load: &mut Load) -> Option<Plugin> {
    let fields = load.read::<basic_auth::Document>(&Pointer::Root, document)?;
    let mode = fields.mode;
    let filter = Shipped::BasicAuth(fields.compile(load)?);
    Some(Plugin { name: basic_auth::NAME, mode, filter })
}

fn token_exchange(document: &Json, load: &mut Load) -> Option<Plugin> {
    let fields = load.read::<token_exchange::Document>(&Pointer::Root, document)?;
    let mode = fields.mode;
    let filter = Shipped::TokenExchange(fields.compile(load)?);
    Some(Plugin { name: token_exchange::NAME, mode, filter })
}

fn custom_errors(document: &Json, load: &mut Load) -> Option<Plugin> {
    let fields = load.read::<custom_errors::Document>(&Pointer::Root, document)?;
    let mode = fields.mode;
    let filter = Shipped::ProblemJson(fields.compile(load)?);
    Some(Plugin { name: custom_errors::NAME, mode, filter })
}
