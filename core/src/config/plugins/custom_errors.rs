//! The document of the custom-errors plug-in.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::config::{Load, Pointer, Refusal};
use crate::filter::problem_json::config::MAX_BODY_BYTES;
use crate::filter::problem_json::statuses::{Statuses, three_digits};
use crate::filter::problem_json::types::{A_URI, Types, uri};
use crate::filter::problem_json::url::UrlPrefix;
use crate::filter::problem_json::{
    Detail, Instance, InvalidUtf8, Parts, ProblemJson, Title, Trace,
};
use crate::policy::Mode;
use crate::problem::TITLE;

/// The `trace_id` of a request that has none.
const NO_TRACE: &str = "00-0aa0000000aa00aa0000aa000a00000a-a0aa0a0000000000-00";

/// The whole document of the custom-errors plug-in, as it is deployed.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "plugin_custom_errors")
)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Document {
    /// The requests it is for: those whose `scheme://host/path`, or `host/path`, starts with any of
    /// these.
    #[serde(rename = "targetURLPrefixes")]
    target_url_prefixes: Vec<String>,
    /// The first status that becomes a problem; below 400 it is 400. Default 400.
    start_status_code: Option<i64>,
    /// The last one; below 400 or above 599 it is 599. Default 599.
    end_status_code: Option<i64>,
    /// The member `type` by status: an object, or a list of objects.
    #[serde(rename = "problemTypeURIMap")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<UriMapSchema>"))]
    problem_type_uri_map: Option<UriMap>,
    /// The member `title`; default `service mesh returned an error`.
    problem_title: Option<String>,
    /// What the filter does with its verdict.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("default" = "enforce")))]
    pub(super) mode: Mode,
}

impl Document {
    pub(super) fn compile(self, load: &mut Load) -> Option<ProblemJson> {
        let root = Pointer::Root;
        let statuses = self.statuses(load);
        let at = root.key("targetURLPrefixes");
        let urls = load.each(self.target_url_prefixes, &at, |text, at, load| {
            let expected = "the start of `scheme://host/path` or of `host/path`";
            load.expect(at, UrlPrefix::parse(&text), expected)
        });
        let types = match self.problem_type_uri_map {
            None => Some(Types::default()),
            Some(map) => map.compile(&root.key("problemTypeURIMap"), load),
        };
        let title = self.problem_title.filter(|title| !title.is_empty());
        let parts = Parts {
            statuses: statuses?,
            urls: Some(urls?),
            types: types?,
            title: Title::Literal(title.map_or_else(|| TITLE.into(), String::into_boxed_str)),
            detail: Detail::Body(InvalidUtf8::Replace),
            instance: Instance::Path,
            trace: Trace { whole: true, otherwise: Some(NO_TRACE.into()) },
            members: Box::default(),
            max_body_bytes: MAX_BODY_BYTES,
        };
        Some(parts.build())
    }

    /// Clamped as the plug-in does it.
    fn statuses(&self, load: &mut Load) -> Option<Statuses> {
        let start = u16::try_from(self.start_status_code.unwrap_or(400).max(400)).ok();
        let start = start.filter(|start| *start <= 599);
        let expected = "a status of at most 599";
        let start = load.expect(&Pointer::Root.key("startStatusCode"), start, expected)?;
        let end = self.end_status_code.and_then(|end| u16::try_from(end).ok());
        let end = end.filter(|end| (400..=599).contains(end)).unwrap_or(599);
        let end = (start <= end).then_some(end);
        let expected = "a status that is not below `startStatusCode`";
        let end = load.expect(&Pointer::Root.key("endStatusCode"), end, expected)?;
        Some(Statuses::range(start, end))
    }
}

/// Statuses and URIs, each with its place in the document.
struct UriMap(Vec<(Option<usize>, String, String)>);

impl UriMap {
    fn compile(self, at: &Pointer<'_>, load: &mut Load) -> Option<Types> {
        let (mut types, mut fits) = (BTreeMap::new(), Some(()));
        for (index, status, text) in self.0 {
            let element;
            let at = match index {
                None => at,
                Some(index) => {
                    element = at.index(index);
                    &element
                }
            };
            let at = at.key(&status);
            let number = three_digits(&status).filter(|status| (100..=599).contains(status));
            let number = load.expect(&at, number, "a status from 100 to 599");
            let uri = load.expect(&at, uri(&text), A_URI);
            let (Some(status), Some(uri)) = (number, uri) else {
                fits = None;
                continue;
            };
            if types.insert(status, uri).is_some() {
                load.refuse(&at, Refusal::DuplicateKey);
                fits = None;
            }
        }
        fits.map(|()| Types::with(types))
    }
}

impl<'de> Deserialize<'de> for UriMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOrList;
        impl<'de> Visitor<'de> for ObjectOrList {
            type Value = UriMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a URI for each status, or a list of such objects")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UriMap, A::Error> {
                let mut uris = Vec::new();
                while let Some((status, uri)) = map.next_entry()? {
                    uris.push((None, status, uri));
                }
                Ok(UriMap(uris))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<UriMap, A::Error> {
                let mut uris = Vec::new();
                let mut index = 0_usize;
                while let Some(element) = list.next_element::<BTreeMap<String, String>>()? {
                    let each = element.into_iter().map(|(status, uri)| (Some(index), status, uri));
                    uris.extend(each);
                    index = index.saturating_add(1);
                }
                Ok(UriMap(uris))
            }
        }
        deserializer.deserialize_any(ObjectOrList)
    }
}

/// An object, or a list of them.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "plugin_custom_errors_types")]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the schema alone")]
enum UriMapSchema {
    /// A URI for each status.
    Object(BTreeMap<String, String>),
    /// Objects, each with a URI for each of its statuses.
    List(#[schemars(length(min = 0))] Vec<BTreeMap<String, String>>),
}
