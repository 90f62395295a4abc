//! The configurations of the plug-ins that people run today, read as whole documents.

mod basic_auth;

#[cfg(feature = "schema")]
pub(crate) use basic_auth::Document as BasicAuthDocument;

use alloc::string::String;

use super::{Json, Load, Pointer, Refusal};
use crate::filter::basic_auth::BasicAuth;
use crate::policy::Mode;
use crate::policy::steps::Shipped;

/// What such a document becomes: at most one filter, with the name that the chain gives it.
pub(crate) type Plugin = (Option<(&'static str, Shipped)>, Mode);

/// `None` where the document is in Pintle's own form.
pub(crate) fn read(
    document: &Json,
    members: &[(String, Json)],
    load: &mut Load,
) -> Option<Option<Plugin>> {
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    if !has("basic_auth_rules") {
        return None;
    }
    if has("filters") {
        let expected = "no `filters` beside it: this is the whole document of another plug-in";
        load.refuse(&Pointer::Root.key("basic_auth_rules"), Refusal::Unacceptable { expected });
        return Some(None);
    }
    let fields = load.read::<basic_auth::Document>(&Pointer::Root, document);
    Some(fields.and_then(|fields| {
        let mode = fields.mode;
        let filter: BasicAuth = fields.compile(load)?;
        Some((Some((basic_auth::NAME, Shipped::BasicAuth(filter))), mode))
    }))
}
