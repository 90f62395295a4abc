//! What answers to callouts are remembered in, and where requests that want the same answer meet.
//!
//! A store belongs to one filter: all of its answers come from the same configuration. Targets keep
//! a store as so many [`Shard`]s, and lend one at a time through [`Host::shared`](crate::Host::shared).
//! Time is an argument here, as everywhere.

mod debug;
mod entries;
mod flights;
mod key;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::denial::Denial;
use crate::fields::Field;
use crate::host::UnixTime;

use entries::Entries;
use flights::Flights;

pub use key::Key;

/// The configuration of one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// The `name` of the filter, whose metrics tell of the store; the chain fills it in.
    pub filter: String,
    /// Of everything that decides what is asked and how an answer is read: two instances of a policy
    /// that have the same one may share a store, or a slot.
    pub fingerprint: [u8; 32],
    /// How much it holds.
    pub limits: Limits,
}

/// How much a store holds, all shards together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Answers.
    pub entries: usize,
    /// Bytes of answers, their keys and bookkeeping included.
    pub bytes: usize,
    /// Requests that wait for one callout of another, for each callout.
    pub waiters: usize,
}

/// One of the stores that [`Policy::stores`](crate::Policy::stores) lists, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub(crate) u32);

impl StoreId {
    /// The place in the list.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One part of a store.
///
/// Requests that ask for what is not known here share one callout, a flight: the first leads it, the
/// others wait. A request that came to wait is woken at most once for each waker that it gave: with the
/// answer, to lead in its turn, because its time is up, or to see for itself. Whoever holds a [`Ticket`] hands it back
/// in exactly one call: [`land`](Self::land), [`collect`](Self::collect) or [`leave`](Self::leave).
pub struct Shard<W> {
    entries: Entries,
    flights: Flights<W>,
    /// Of how many answers the last landing knew.
    reported: usize,
}

/// What came of a question: a token, or why there is none. A stored answer keeps the whole of the
/// memory that its bytes are a part of.
#[derive(Clone)]
pub enum Verdict {
    /// The token.
    Granted(Bytes),
    /// The service refused the caller.
    Refused(Arc<Refused>),
    /// The service could not be reached, or failed.
    Unavailable,
    /// The service answered with something else than a token.
    Unusable,
}

/// How the service refused the caller, as far as the caller is told.
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// The HTTP status.
    pub status: u16,
    /// Fields of the reply.
    pub fields: Box<[Field]>,
    /// The content.
    pub body: Bytes,
}

/// How long an answer is of use. An answer without these times in order is of use until the last of
/// `fresh_until` and `stale_until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// From here on it is worth asking anew, ahead of need.
    pub refresh_from: UnixTime,
    /// Up to here it is as good as new.
    pub fresh_until: UnixTime,
    /// Up to here it is better than none at all.
    pub stale_until: UnixTime,
}

/// A place in a flight: one callout, and the requests that wait for it.
#[derive(Clone)]
pub struct Ticket {
    key: Key,
    flight: u64,
    seat: u64,
}

/// What a question comes to.
pub enum Asked {
    /// The answer is known.
    Known {
        /// What it was.
        verdict: Verdict,
        /// Nobody asks anew yet, and it is time to: send the callout out for this flight, on an errand.
        refresh: Option<Ticket>,
    },
    /// Nobody asks yet: start the callout for this flight.
    Lead(Ticket),
    /// Somebody asks already: wait to be woken.
    Wait(Ticket),
    /// As many wait as may.
    Full,
}

/// What a request that was woken finds.
pub enum Collected<W> {
    /// The answer.
    Landed {
        /// What it was.
        verdict: Verdict,
        /// It is an old one, in place of none at all.
        stale: bool,
    },
    /// The leader has gone: start the callout, with so many milliseconds left.
    Lead(Ticket, u64),
    /// Nothing yet.
    Wait(Ticket),
    /// The time of this request is up. Whom to wake, where it was to lead.
    Late(Option<W>),
}

/// What landing a flight did.
pub struct Landed<W> {
    /// The verdict for the one who led: as it came, or an old one in place of none at all.
    pub verdict: Verdict,
    /// It is an old one.
    pub stale: bool,
    /// Whom to wake.
    pub wake: Vec<W>,
    /// Answers that had to go.
    pub evicted: u64,
    /// How many more answers there are now than after the last landing.
    pub entries: i64,
}

/// The place where instances of a policy find each other's values, and the key that they are sealed
/// with.
pub struct Slot {
    /// The number of the place.
    pub index: u16,
    /// The key.
    pub key: [u8; 32],
}

impl StoreSpec {
    /// How many shards the store has: a power of two, at most 16, and one where a shard would be too
    /// small to fill evenly (under 1,024 answers or 1 MiB).
    pub fn shards(&self) -> usize {
        const MOST: usize = 16;
        const LEAST_ENTRIES: usize = 1 << 10;
        const LEAST_BYTES: usize = 1 << 20;
        let room = (self.limits.entries / LEAST_ENTRIES).min(self.limits.bytes / LEAST_BYTES);
        room.clamp(1, MOST).checked_ilog2().map_or(1, |log| 1 << log)
    }

    /// A shard, empty, with its share of the limits.
    pub fn shard<W>(&self) -> Shard<W> {
        let shards = self.shards();
        let entries = self.limits.entries.div_ceil(shards);
        let bytes = self.limits.bytes.checked_div(shards).unwrap_or_default();
        Shard {
            entries: Entries::new(entries, bytes),
            flights: Flights::new(self.limits.waiters),
            reported: 0,
        }
    }
}

impl<W> Shard<W> {
    /// Asks for the answer to `key`. Whoever comes to wait is to be answered by `deadline`; `waker`
    /// makes what wakes it.
    pub fn ask(
        &mut self,
        key: Key,
        now: UnixTime,
        deadline: UnixTime,
        waker: impl FnOnce() -> W,
    ) -> Asked {
        let Some(found) = self.entries.fresh(key, now) else {
            return self.flights.join(key, now, deadline, waker);
        };
        let refresh = if found.refresh { self.flights.open(key, now, deadline) } else { None };
        Asked::Known { verdict: found.verdict, refresh }
    }

    /// The callout of a flight has ended. Without a `life` the answer is for those who wait alone.
    ///
    /// In place of [`Verdict::Unavailable`] comes a token that is still known, `stale` where it is an
    /// old one, and never an old refusal. A refusal with status 401 or 403 ends the life of the token
    /// before it, also without a `life`. A token that is fresh still when asking anew comes to
    /// nothing is not asked for again within a second.
    ///
    /// Where the flight has gone over to another leader meanwhile, the answer is for this one alone,
    /// and stored if it is a token and nothing fresh is known.
    pub fn land(
        &mut self,
        ticket: Ticket,
        verdict: Verdict,
        life: Option<Life>,
        now: UnixTime,
    ) -> Landed<W> {
        let evicted = if self.flights.leads(&ticket) {
            self.learn(ticket.key, &verdict, life, now)
        } else {
            self.learn_late(ticket.key, &verdict, life, now)
        };
        let old = match verdict {
            Verdict::Unavailable => self.entries.spare(ticket.key, now),
            _ => None,
        };
        let (verdict, stale) = old.unwrap_or((verdict, false));
        let wake = self.flights.land(ticket, &verdict, stale, now);
        Landed { verdict, stale, wake, evicted, entries: self.report() }
    }

    /// What there is for a request that was woken. `waker` makes what wakes it, should it have to wait
    /// once more.
    pub fn collect(
        &mut self,
        ticket: Ticket,
        now: UnixTime,
        waker: impl FnOnce() -> W,
    ) -> Collected<W> {
        self.flights.collect(ticket, now, waker)
    }

    /// The token that serves in place of none at all, if one is known still, and whether it is an old
    /// one.
    pub fn spare(&mut self, key: Key, now: UnixTime) -> Option<(Verdict, bool)> {
        self.entries.spare(key, now)
    }

    /// A request has gone without its answer; whom to wake, where that leaves a flight without a
    /// leader.
    pub fn leave(&mut self, ticket: Ticket, now: UnixTime) -> Option<W> {
        self.flights.leave(&ticket, now)
    }

    /// Takes all flights from those who lead them, for a host that has lost one to a panic, and cannot
    /// know which. Of those who wait for one, the first that comes leads, in the time that it has left,
    /// and the others wait on. A leader that lives all the same has its answer for itself alone. Whom
    /// to wake.
    pub fn disband(&mut self) -> Vec<W> {
        self.flights.disband()
    }

    fn learn(&mut self, key: Key, verdict: &Verdict, life: Option<Life>, now: UnixTime) -> u64 {
        match (verdict, life) {
            (Verdict::Granted(_) | Verdict::Refused(_), Some(life)) => {
                return self.entries.store(key, verdict.clone(), life, now);
            }
            (Verdict::Refused(refused), None) if matches!(refused.status, 401 | 403) => {
                self.entries.remove(key);
            }
            _ => self.entries.put_off(key, now),
        }
        0
    }

    fn learn_late(
        &mut self,
        key: Key,
        verdict: &Verdict,
        life: Option<Life>,
        now: UnixTime,
    ) -> u64 {
        match (verdict, life) {
            (Verdict::Granted(_), Some(life)) if self.entries.fresh(key, now).is_none() => {
                self.entries.store(key, verdict.clone(), life, now)
            }
            _ => 0,
        }
    }

    /// How many more answers there are than were last told of.
    fn report(&mut self) -> i64 {
        let before = i64::try_from(self.reported).unwrap_or(i64::MAX);
        self.reported = self.entries.len();
        i64::try_from(self.reported).unwrap_or(i64::MAX).saturating_sub(before)
    }
}
