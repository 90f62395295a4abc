//! The configurations of the plug-ins that people run today, read as whole documents.

mod basic_auth;

#[cfg(feature = "schema")]
pub(crate) use basic_auth::Document as BasicAuthDocument;

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
        let filter = Shipped::BasicAuth(fields.compile(load)?);
        Some(Plugin { name: basic_auth::NAME, mode, filter })
    }))
}
