//! One case on one artefact of a real Envoy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use pintle_core::testing::corpus::{
    CalloutEnd, Case, FieldLines, Mismatch, Plan, PlannedCallout, Response, Seen, SeenCallout,
    Service, refusals, verdicts,
};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::authority::{Act, Authority};
use crate::bootstrap::Listener;
use crate::client::Connection;
use crate::mesh::{self, Mesh};
use crate::stats;
use crate::upstream::Answer;

/// The wasm module adds its counters up, and hands them over on a tick of one second.
const TWO_TICKS: Duration = Duration::from_millis(2200);
const PAUSE: Duration = Duration::from_millis(20);

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
        let (mut seen, mut logs) = (Seen::default(), Vec::new());
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
            seen = observed(done);
        }
        seen.logs = logs;
        seen.callouts = callouts.finish(&mesh.authority);
        let deadline = Instant::now() + TWO_TICKS;
        // That something is not counted shows only after a tick.
        let patient = self.waits() && exchange.expect.counters.values().all(|&n| n == 0);
        loop {
            seen.counters = stats::growth(&before, &self.counters(mesh).await?);
            let verdicts = verdicts(&self.case, &seen);
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
    Answer {
        status: response.status,
        fields: message.fields.clone(),
        body: Bytes::from(message.body.clone()),
        chunked: message.chunked,
        trailers: message.trailers.clone(),
    }
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
