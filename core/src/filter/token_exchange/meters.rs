//! What `token_exchange` measures beside what the chain counts.

use crate::metrics::{Meter, MetricKind};

/// In the order of the constants below.
pub(super) const METERS: &[Meter] = &[
    callouts("granted"),
    callouts("refused"),
    callouts("unavailable"),
    callouts("unusable"),
    counter("hits"),
    counter("misses"),
    counter("negative_hits"),
    counter("stale"),
    counter("coalesced"),
    counter("evicted"),
    Meter { name: "entries", label: None, kind: MetricKind::Gauge },
    Meter { name: "waiting", label: None, kind: MetricKind::Gauge },
    Meter { name: "callout_ms", label: None, kind: MetricKind::Histogram },
];

/// Callouts that brought a token.
pub(super) const GRANTED: u32 = 0;
/// Callouts whose answer refused the caller.
pub(super) const REFUSED: u32 = 1;
/// Callouts that could not be made, failed, or were answered with 5xx.
pub(super) const UNAVAILABLE: u32 = 2;
/// Callouts with any other answer.
pub(super) const UNUSABLE: u32 = 3;
/// Requests that were served a token without a callout of their own or of another request.
pub(super) const HITS: u32 = 4;
/// Requests that found nothing, and had a callout started.
pub(super) const MISSES: u32 = 5;
/// Requests that were refused as another had been before.
pub(super) const NEGATIVE_HITS: u32 = 6;
/// Requests that were served an old token as there was no new one.
pub(super) const STALE: u32 = 7;
/// Requests that came to wait for the callout of another.
pub(super) const COALESCED: u32 = 8;
/// Answers that had to make room.
pub(super) const EVICTED: u32 = 9;
/// Answers that are remembered.
pub(super) const ENTRIES: u32 = 10;
/// Requests that wait for the callout of another.
pub(super) const WAITING: u32 = 11;
/// From the start of a callout to its end, in milliseconds.
pub(super) const CALLOUT_MS: u32 = 12;

const fn callouts(result: &'static str) -> Meter {
    let label = Some(("result", result));
    Meter { name: "callouts", label, kind: MetricKind::Counter }
}

const fn counter(name: &'static str) -> Meter {
    Meter { name, label: None, kind: MetricKind::Counter }
}
