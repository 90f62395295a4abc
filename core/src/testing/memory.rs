//! A host in memory: the reference for what the two real ones must do.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use super::corpus::{self, Exchange, FieldLines, Seen, SeenUpstream};
use crate::fields::FieldName;
use crate::filter::FilterSet;
use crate::host::{Attribute, Counter, Edit, Host, Level, Section};
use crate::policy::{Answer, Policy};
use crate::scratch::Scratch;
use crate::stream::Stream;

/// One log line.
pub type LogLine = (Level, String);

/// A stream held in memory.
#[derive(Debug, Default)]
pub struct MemoryHost {
    /// Field lines of the request, pseudo-headers first.
    pub request: FieldLines,
    /// Field lines of the response, `:status` first.
    pub response: FieldLines,
    /// What is known of the connection, by Envoy's names.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// Values that were noted.
    pub notes: BTreeMap<String, Vec<u8>>,
    /// How often the route was chosen anew.
    pub reroutes: usize,
    /// The least level that is logged; `None` for none.
    pub level: Option<Level>,
    counters: RefCell<BTreeMap<usize, u64>>,
    log: RefCell<Vec<LogLine>>,
}

impl MemoryHost {
    /// A stream whose request has these field lines.
    pub fn new(request: FieldLines) -> Self {
        Self { request, level: Some(Level::Trace), ..Self::default() }
    }

    /// The log lines so far.
    pub fn log_lines(&self) -> Vec<LogLine> {
        self.log.borrow().clone()
    }

    /// How much a counter grew.
    pub fn count(&self, counter: usize) -> u64 {
        self.counters.borrow().get(&counter).copied().unwrap_or_default()
    }

    fn section(&self, section: Section) -> &FieldLines {
        match section {
            Section::Request => &self.request,
            Section::Response => &self.response,
        }
    }
}

impl Host for MemoryHost {
    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.section(section).iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        self.attributes.get(attribute.envoy_name()).map(Vec::as_slice)
    }
    fn logs(&self, level: Level) -> bool {
        self.level.is_some_and(|least| least <= level)
    }
    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        self.log.borrow_mut().push((level, message.to_string()));
    }
    fn add(&self, counter: Counter, n: u64) {
        let mut counters = self.counters.borrow_mut();
        let count = counters.entry(counter.index()).or_default();
        *count = count.saturating_add(n);
    }
    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        let lines = match section {
            Section::Request => &mut self.request,
            Section::Response => &mut self.response,
        };
        let (name, value) = match edit {
            Edit::Set(name, value) | Edit::Append(name, value) => (name, Some(value)),
            Edit::Remove(name) => (name, None),
        };
        if !matches!(edit, Edit::Append(..)) {
            lines.retain(|(n, _)| n != name.as_bytes());
        }
        if let Some(value) = value {
            lines.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
    }
    fn note(&mut self, key: &str, value: &[u8]) {
        self.notes.insert(key.to_owned(), value.to_vec());
    }
    fn reroute(&mut self) {
        self.reroutes = self.reroutes.saturating_add(1);
    }
}

/// Runs one exchange of the corpus in memory: request, upstream, response.
pub fn run<X: FilterSet>(policy: &Policy<X>, exchange: &Exchange) -> Seen {
    let request = &exchange.request;
    let mut lines = alloc::vec![
        (b":method".to_vec(), request.method.clone().into_bytes()),
        (b":path".to_vec(), request.path.clone().into_bytes()),
        (b":authority".to_vec(), request.authority.clone().into_bytes()),
        (b":scheme".to_vec(), b"http".to_vec()),
    ];
    lines.extend(request.message.fields.iter().cloned());
    let mut host = MemoryHost::new(lines);
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let mut seen = Seen::default();
    match policy.on_request(&mut stream, &mut host, &mut scratch) {
        Answer::Reply(reply) => {
            seen.status = reply.status;
            seen.fields = reply.fields().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            seen.body = reply.body.to_vec();
            seen.details = reply.details.into_owned();
        }
        Answer::Continue => {
            let value = |name: &'static FieldName| {
                host.values(Section::Request, name).next().unwrap_or_default()
            };
            seen.upstream = Some(SeenUpstream {
                method: String::from_utf8_lossy(value(FieldName::METHOD)).into_owned(),
                path: value(FieldName::PATH).to_vec(),
                fields: host
                    .request
                    .iter()
                    .filter(|(n, _)| !n.starts_with(b":"))
                    .cloned()
                    .collect(),
                body_bytes: u64::try_from(request.message.body.len()).unwrap_or(u64::MAX),
                ..SeenUpstream::default()
            });
            // Not every host has the request any more when the response comes.
            host.request.clear();
            let response = &exchange.response;
            host.response.push((b":status".to_vec(), response.status.to_string().into_bytes()));
            host.response.extend(response.message.fields.iter().cloned());
            policy.on_response(&mut stream, &mut host, &mut scratch);
            seen.status = response.status;
            seen.fields =
                host.response.iter().filter(|(n, _)| !n.starts_with(b":")).cloned().collect();
            seen.body = response.message.body.clone();
            seen.details = "via_upstream".to_string();
        }
    }
    for (i, counter) in policy.counters().iter().enumerate() {
        seen.counters.insert(counter.module().to_string(), host.count(i));
    }
    seen.notes = host.notes.clone();
    seen.logs = host
        .log_lines()
        .into_iter()
        .map(|(level, message)| corpus::LogLine { level: level.name().to_string(), message })
        .collect();
    seen
}
