mod answers;
mod flights;
mod interleavings;
mod model;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Asked, Collected, Key, Landed, Life, Limits, Refused, Shard, StoreSpec, Ticket, Verdict,
};
use crate::denial::Denial;
use crate::host::UnixTime;

/// What tests wake: the number of a request.
type Store = Shard<usize>;

/// When tests begin, in milliseconds.
const START: u64 = 1_000_000;

/// What wakes a request that has to wait once more.
const AGAIN: usize = 1_000;

/// How long requests of tests wait, in milliseconds.
const TIMEOUT: u64 = 100;

fn spec(entries: usize, bytes: usize, waiters: usize) -> StoreSpec {
    StoreSpec {
        filter: String::new(),
        fingerprint: [0; 32],
        limits: Limits { entries, bytes, waiters },
    }
}

fn store() -> Store {
    spec(100, 100_000, 10).shard()
}

fn at(ms: u64) -> UnixTime {
    UnixTime(START + ms)
}

fn key(number: u128) -> Key {
    Key(number << 64)
}

/// Request `number` asks at `ms` for the answer to `key`.
fn ask(store: &mut Store, of: Key, ms: u64, number: usize) -> Asked {
    store.ask(of, at(ms), at(ms + TIMEOUT), || number)
}

fn lead(store: &mut Store, of: Key, ms: u64) -> Ticket {
    match ask(store, of, ms, usize::MAX) {
        Asked::Lead(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn wait(store: &mut Store, of: Key, ms: u64, number: usize) -> Ticket {
    match ask(store, of, ms, number) {
        Asked::Wait(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// What is known of `key`, and whether it was worth asking anew; such a flight is given up.
fn known(store: &mut Store, of: Key, ms: u64) -> Option<(Seen, bool)> {
    match ask(store, of, ms, usize::MAX) {
        Asked::Known { verdict, refresh } => {
            let refreshed = refresh.is_some();
            if let Some(ticket) = refresh {
                assert_eq!(store.leave(ticket, at(ms)), None);
            }
            Some((Seen::of(&verdict), refreshed))
        }
        Asked::Lead(ticket) => {
            assert_eq!(store.leave(ticket, at(ms)), None);
            None
        }
        other => panic!("{other:?}"),
    }
}

/// Puts an answer in.
fn put(store: &mut Store, of: Key, ms: u64, verdict: Verdict, life: Life) -> Landed<usize> {
    let ticket = lead(store, of, ms);
    store.land(ticket, verdict, Some(life), at(ms))
}

fn life(refresh_from: u64, fresh_until: u64, stale_until: u64) -> Life {
    Life {
        refresh_from: at(refresh_from),
        fresh_until: at(fresh_until),
        stale_until: at(stale_until),
    }
}

/// Fresh for ten seconds.
fn fresh() -> Life {
    life(10_000, 10_000, 10_000)
}

fn token(text: &'static str) -> Verdict {
    Verdict::Granted(Bytes::from_static(text.as_bytes()))
}

fn refusal(status: u16) -> Verdict {
    Verdict::Refused(Arc::new(Refused {
        denial: Denial::WrongCredentials,
        status,
        fields: Box::new([]),
        body: Bytes::new(),
    }))
}

/// A verdict, to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Token(Vec<u8>),
    Refusal(u16),
    Unavailable,
    Unusable,
}

impl Seen {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Granted(token) => Self::Token(token.to_vec()),
            Verdict::Refused(refused) => Self::Refusal(refused.status),
            Verdict::Unavailable => Self::Unavailable,
            Verdict::Unusable => Self::Unusable,
        }
    }

    fn token(text: &str) -> Self {
        Self::Token(text.as_bytes().to_vec())
    }
}

/// What a request that was woken found, to compare.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Landed(Seen, bool),
    Lead(u64),
    Wait,
    Late(Option<usize>),
}

fn collect(store: &mut Store, ticket: Ticket, ms: u64) -> (Got, Option<Ticket>) {
    match store.collect(ticket, at(ms), || AGAIN) {
        Collected::Landed { verdict, stale } => (Got::Landed(Seen::of(&verdict), stale), None),
        Collected::Lead(ticket, left) => (Got::Lead(left), Some(ticket)),
        Collected::Wait(ticket) => (Got::Wait, Some(ticket)),
        Collected::Late(next) => (Got::Late(next), None),
    }
}

/// Flights under way, flights that landed, and requests that wait.
fn flights(store: &Store) -> (usize, usize, usize) {
    store.flights.counts()
}

/// Whether whoever holds the ticket leads.
fn leads(store: &Store, ticket: &Ticket) -> bool {
    store.flights.leads(ticket)
}
