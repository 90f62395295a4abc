//! One case on one artefact of a real Envoy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use pintle_core::testing::corpus::{
    CalloutEnd, Case, Exchange, FieldLines, Http, Mismatch, Plan, PlannedCallout, Response, Seen,
    SeenCallout, Service, refusals, verdicts,
};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::authority::{Act, Authority};
use crate::bootstrap::Listener;
use crate::client::{Connection, Reply};
use crate::mesh::{self, Mesh};
use crate::stats;
use crate::upstream::{Answer, Manner};

/// The wasm module adds its counters up, and hands them over on a tick of one second.
const TWO_TICKS: Duration = Duration::from_millis(2200);
const PAUSE: Duration = Duration::from_millis(20);

/// In which content without a stated length comes.
const MOST_PIECES: usize = 64;

/// A case and where it runs.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    /// The place of the case in the corpus.
    pub(crate) place: usize,
    /// The case; its plan is an exchange.
    pub(crate) case: Case,
    /// What runs it.
    pub(crate) artefact: Artefact,
    /// Where that listens.
    pub(crate) listener: Listener,
}

impl Trial {
    /// Whether it takes waiting for a tick, and quiet on all other listeners meanwhile.
    pub(crate) fn waits(&self) -> bool {
        self.counts() && self.artefact == Artefact::Wasm
    }

    fn counts(&self) -> bool {
        matches!(&self.case.plan, Plan::Exchange(e) if !e.expect.counters.is_empty())
    }

    /// Sends the request; what came of it against what the case expects.
    pub(crate) async fn run(&self, mesh: &Mesh) -> Result<Vec<Mismatch>> {
        let Plan::Exchange(exchange) = &self.case.plan else { return Ok(Vec::new()) };
        if !mesh.has(&self.listener.name) {
            let text = mesh.refusal(&self.listener.name).await?;
            return Ok(refusals(&self.case, Some(&text)));
        }
        let before = self.counters(mesh).await?;
        let callouts = Callouts::expect(&mesh.authority, &exchange.callouts);
        let request = &exchange.request;
        let mut connection =
            Connection::open(mesh.address(&self.listener.name)?, request.http).await?;
        let (mut seen, mut logs, mut trailing) = (Seen::default(), Vec::new(), None);
        for _ in 0..exchange.repeat {
            let answer = answer(&exchange.response);
            let done = mesh.exchange_on(&mut connection, request, answer).await?;
            if done.arrivals.len() > 1 {
                let (what, expected) = ("requests at the upstream".to_owned(), "1".to_owned());
                return Ok(vec![Mismatch {
                    what,
                    expected,
                    seen: done.arrivals.len().to_string(),
                }]);
            }
            logs.extend(done.logs.iter().cloned());
            trailing = trailers(exchange, &done.reply, !done.arrivals.is_empty());
            seen = observed(done);
        }
        seen.logs = logs;
        seen.callouts = callouts.finish(&mesh.authority);
        let deadline = Instant::now() + TWO_TICKS;
        // That something is not counted shows only after a tick.
        let patient = self.waits() && exchange.expect.counters.values().all(|&n| n == 0);
        loop {
            seen.counters = stats::growth(&before, &self.counters(mesh).await?);
            let mut verdicts = verdicts(&self.case, &seen);
            verdicts.extend(trailing.clone());
            let settled = !patient && !verdicts.iter().any(|m| m.what.starts_with("counter "));
            if !self.waits() || settled || Instant::now() > deadline {
                return Ok(verdicts);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn counters(&self, mesh: &Mesh) -> Result<BTreeMap<String, u64>> {
        if !self.counts() {
            return Ok(BTreeMap::new());
        }
        Ok(stats::counters(self.artefact, &mesh.admin.stats(stats::FILTER).await?))
    }
}

/// The callouts of a case that reach the service. A refused connection reaches nobody.
struct Callouts(Vec<PlannedCallout>);

impl Callouts {
    fn expect(authority: &Authority, planned: &[PlannedCallout]) -> Self {
        authority.reset();
        let reach = planned.iter().filter(|callout| callout.end != CalloutEnd::Unreachable);
        let planned: Vec<PlannedCallout> = reach.cloned().collect();
        let acts: Vec<Act> = planned.iter().map(|callout| act(&callout.end)).collect();
        let next = AtomicUsize::new(0);
        authority.plan(move |_| {
            let act = acts.get(next.fetch_add(1, Ordering::Relaxed));
            act.cloned().unwrap_or(Act::Reset(Bytes::new()))
        });
        Self(planned)
    }

    fn finish(self, authority: &Authority) -> Vec<Mismatch> {
        let mut service = Service::new(&self.0);
        for call in authority.take() {
            let mut fields: FieldLines =
                [(":method", &call.method), (":path", &call.path), (":authority", &call.authority)]
                    .map(|(name, value)| (name.into(), value.as_bytes().into()))
                    .into();
            fields.extend(call.fields);
            let (cluster, timeout_ms) = (None, None);
            // What it answered is in the plan already.
            let _ =
                service.ask(SeenCallout { cluster, fields: &fields, body: &call.body, timeout_ms });
        }
        service.finish()
    }
}

fn act(end: &CalloutEnd) -> Act {
    match end {
        CalloutEnd::Answer(response) => Act::Answer(answer(response)),
        CalloutEnd::Reset => {
            Act::Reset(Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"))
        }
        CalloutEnd::Timeout | CalloutEnd::Unreachable => Act::Silence,
    }
}

fn answer(response: &Response) -> Answer {
    let message = &response.message;
    // Shorter than most contents, and than some characters of them; of long ones not too many.
    let piece_bytes = 5.max(message.body.len() / MOST_PIECES);
    Answer {
        status: response.status,
        fields: message.fields.clone(),
        body: Bytes::from(message.body.clone()),
        chunked: message.chunked,
        trailers: message.trailers.clone(),
        manner: if message.chunked { Manner::Drops(piece_bytes) } else { Manner::AtOnce },
    }
}

/// In what the trailers at the client differ from those of the upstream; no filter touches any. Over
/// HTTP/1.1 the upstream keeps them from a client that does not ask for them.
fn trailers(exchange: &Exchange, reply: &Reply, reached: bool) -> Option<Mismatch> {
    let request = &exchange.request;
    let asked = request.message.fields.contains(&(b"te".into(), b"trailers".into()));
    let sent = reached && request.method != "HEAD" && (request.http == Http::Two || asked);
    let expected = if sent { exchange.response.message.trailers.as_slice() } else { &[] };
    let shown = |lines: &[(Vec<u8>, Vec<u8>)]| {
        let line =
            |(n, v): &(Vec<u8>, Vec<u8>)| format!("{}: {}", n.escape_ascii(), v.escape_ascii());
        lines.iter().map(line).collect::<Vec<_>>().join(", ")
    };
    (reply.trailers != expected).then(|| Mismatch {
        what: "response trailers".to_owned(),
        expected: shown(expected),
        seen: shown(&reply.trailers),
    })
}

fn observed(done: mesh::Exchange) -> Seen {
    Seen {
        status: done.reply.status,
        fields: done.reply.fields,
        body: done.reply.body.into(),
        details: done.entry.details,
        callouts: Vec::new(),
        upstream: done.arrivals.into_iter().next().map(|arrival| arrival.seen),
        counters: BTreeMap::new(),
        notes: done.entry.notes,
        logs: done.logs,
    }
}
