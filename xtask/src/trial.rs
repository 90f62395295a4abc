//! One case on one artefact of a real Envoy.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use pintle_core::testing::corpus::{Case, Mismatch, Plan, Response, Seen, refusals, verdicts};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::bootstrap::Listener;
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
        let answer = answer(&exchange.response);
        let done = mesh.exchange(&self.listener.name, &exchange.request, answer).await?;
        if done.arrivals.len() > 1 {
            let (what, expected) = ("requests at the upstream".to_owned(), "1".to_owned());
            return Ok(vec![Mismatch { what, expected, seen: done.arrivals.len().to_string() }]);
        }
        let mut seen = observed(done);
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
        upstream: done.arrivals.into_iter().next().map(|arrival| arrival.seen),
        counters: BTreeMap::new(),
        notes: done.entry.notes,
        logs: done.logs,
    }
}
