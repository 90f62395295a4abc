//! The document of the custom-errors plug-in.

use std::collections::BTreeMap;

use super::native::{Field, FieldValue, Filter, Native, Path, ProblemJson, TraceId, When};
use super::{integer, text, texts};
use crate::tree::{Member, Node};

/// Its document, which the filter has taken.
pub(super) fn convert(root: &Node<'_>, differences: &mut Vec<String>) -> Native {
    let title = text(root, "problemTitle").filter(|title| !title.is_empty());
    if title.as_deref() == Some("status_phrase") {
        differences.push(
            "/problemTitle: as the `title` of `problem_json` this text stands for the name of the status"
                .to_owned(),
        );
    }
    let base = ProblemJson {
        when: When::default(),
        statuses: statuses(root),
        types: types(root.get("problemTypeURIMap")),
        title,
        trace_id: TraceId {
            traceparent: "whole",
            default: "00-0aa0000000aa00aa0000aa000a00000a-a0aa0a0000000000-00",
        },
        mode: text(root, "mode"),
    };
    // Of several that are for a response one makes the problem, and the others leave it alone.
    let filters = whens(&texts(root.get("targetURLPrefixes")), differences)
        .into_iter()
        .map(|when| Filter::ProblemJson(ProblemJson { when, ..base.clone() }));
    Native { filters: filters.collect() }
}

/// Clamped as the plug-in does it; `None`: all of them.
fn statuses(root: &Node<'_>) -> Option<String> {
    let start = integer(root, "startStatusCode").unwrap_or(400).max(400);
    let end = integer(root, "endStatusCode").filter(|end| (400..=599).contains(end));
    let end = end.unwrap_or(599);
    ((start, end) != (400, 599)).then(|| format!("{start}-{end}"))
}

/// An object, or a list of them. A status below 400 never counts, and has no place here.
fn types(map: Option<&Node<'_>>) -> BTreeMap<String, String> {
    let Some(map) = map else { return BTreeMap::new() };
    let objects = std::iter::once(map).chain(map.elements());
    let members = objects.flat_map(|object| object.members());
    let types = members.filter_map(|Member { key, value, .. }| {
        Some((key.clone(), value.text()?.to_owned())).filter(|(status, _)| status.as_str() >= "400")
    });
    types.collect()
}

/// The requests: one condition for each scheme, form of host and path, with all the hosts of these.
fn whens(prefixes: &[String], differences: &mut Vec<String>) -> Vec<When> {
    let prefixes: Vec<UrlPrefix<'_>> = prefixes.iter().map(|text| UrlPrefix::of(text)).collect();
    // One of them is for all requests, and what the others say changes nothing.
    if prefixes.iter().any(|prefix| prefix.host.is_empty() && prefix.scheme.is_none()) {
        return vec![When::default()];
    }
    let mut whens: Vec<(UrlPrefix<'_>, When)> = Vec::new();
    for (place, prefix) in prefixes.into_iter().enumerate() {
        let mut note = |what: &str| differences.push(format!("/targetURLPrefixes/{place}: {what}"));
        let same = |(other, when): &&mut (UrlPrefix<'_>, When)| {
            !when.hosts.is_empty() && (other.scheme, other.path) == (prefix.scheme, prefix.path)
        };
        let host = prefix.host_pattern();
        if host.is_some() && prefix.path.is_some() {
            note("hosts are compared without their port");
        }
        if host.is_none() && !prefix.host.is_empty() {
            note(
                "the host is compared with its port and as the client has written it, upper and lower case \
                 too",
            );
        }
        if prefix.path.is_some_and(|path| path != "/") {
            note("the path is compared without its query, and in each form that it may have");
        }
        let group = whens.iter_mut().find(same).filter(|_| host.is_some());
        match (group, host) {
            (Some((_, when)), Some(host)) => when.hosts.push(host),
            (_, host) => {
                let when = prefix.when(host);
                whens.push((prefix, when));
            }
        }
    }
    whens.into_iter().map(|(_, when)| when).collect()
}

/// The start of `scheme://host/path`, or of `host/path`.
struct UrlPrefix<'t> {
    scheme: Option<&'t str>,
    /// And the port, if there is one.
    host: &'t str,
    /// With its slash; `None`: the host may go on.
    path: Option<&'t str>,
}

impl<'t> UrlPrefix<'t> {
    fn of(text: &'t str) -> Self {
        let (scheme, rest) = match text.split_once("://") {
            // A scheme of a URL inside of the path is none of this one.
            Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
            _ => (None, text),
        };
        let path = rest.find('/').and_then(|place| rest.get(place..));
        let host = rest.get(..rest.len() - path.map_or(0, str::len)).unwrap_or(rest);
        Self { scheme, host, path }
    }

    /// The host as `hosts` takes it; one with a port stands in `:authority` instead, as does one with a `*`,
    /// which is no pattern here.
    fn host_pattern(&self) -> Option<String> {
        let host = self.host.to_ascii_lowercase();
        let pattern = if self.path.is_some() { host } else { format!("{host}*") };
        let fits = pintle_core::syntax::host::HostPattern::parse(&pattern).is_ok();
        (fits && !self.host.is_empty() && !self.host.contains('*')).then_some(pattern)
    }

    fn when(&self, host: Option<String>) -> When {
        let scheme = self.scheme.map(|scheme| Field {
            name: ":scheme",
            value: FieldValue::Exact(scheme.to_ascii_lowercase()),
        });
        let authority = (host.is_none() && !self.host.is_empty()).then(|| {
            let text = self.host.to_ascii_lowercase();
            let value = match self.path {
                Some(_) => FieldValue::Exact(text),
                None => FieldValue::Prefix(text),
            };
            Field { name: ":authority", value }
        });
        let path = self.path.map(without_query);
        When {
            hosts: host.into_iter().collect(),
            path: path.map(|path| Path::Prefix(path.to_owned())),
            methods: Vec::new(),
            headers: scheme.into_iter().chain(authority).collect(),
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}
