//! Callouts under way, and the requests that wait for them.
//!
//! A flight is led by the request, or the errand, whose callout it is. While there is a leader, those
//! who wait are in `waiters`, each with its waker, which has not been handed out. A waker is handed
//! out when its owner is taken from there: the answer has landed, or it is the owner's turn to lead,
//! or its time is up. So whoever waits unwoken waits for a leader that lives: one with a callout,
//! or one that was woken to send it. A leader that vanishes without a word is [lost](Leader::is_lost)
//! after a while, and the flight goes to somebody else.
//!
//! Where nobody knows who lives, after a panic, all are woken, and the flight is
//! [vacant](Standing::Vacant): it goes to the first of them that comes, or to one that asks anew. The
//! others take their seats again.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::entries::CLOCK_SLACK_MS;
use super::key::{Key, Placement};
use super::{Asked, Collected, Ticket, Verdict};
use crate::host::UnixTime;

/// Milliseconds after its deadline from which a leader counts as lost: by then the proxy has given
/// up the callout and has told so, even on a busy day.
const LOST_AFTER_MS: u64 = 1_000;

/// Milliseconds for which an answer is kept for those who were woken and do not come.
const UNCOLLECTED_MS: u64 = 60_000;

/// Flights that are looked at, in turn, when one is opened and when one lands: twice as many as come
/// to be, so what was forgotten does not pile up.
const SWEPT_AT_ONCE: usize = 2;

/// All flights of a shard.
pub(super) struct Flights<W> {
    flights: BTreeMap<u64, Flight<W>>,
    /// Those that have a leader.
    led: HashMap<Key, u64, Placement>,
    max_waiters: usize,
    /// The next number, of a flight or a seat.
    next: u64,
    /// Where the next sweep starts.
    hand: u64,
}

enum Flight<W> {
    Led {
        leader: Leader,
        /// By seat, so in order of arrival.
        waiters: BTreeMap<u64, Waiter<W>>,
        key: Key,
    },
    Landed {
        verdict: Verdict,
        stale: bool,
        at: UnixTime,
        /// Of those who were woken for it.
        seats: BTreeSet<u64>,
    },
}

struct Leader {
    seat: u64,
    standing: Standing,
    since: UnixTime,
    deadline: UnixTime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It asked first.
    First,
    /// It waited, was woken to lead, and has not come yet.
    ToBe,
    /// It waited, and leads now, with less time than others have.
    Promoted,
    /// Nobody leads. Those in `waiters` have all been woken.
    Vacant,
}

struct Waiter<W> {
    /// `None` once it was woken, until it comes.
    waker: Option<W>,
    deadline: UnixTime,
    /// Milliseconds that it had when it came.
    had: u64,
}

impl<W> Flights<W> {
    pub(super) fn new(max_waiters: usize) -> Self {
        Self { flights: BTreeMap::new(), led: HashMap::default(), max_waiters, next: 0, hand: 0 }
    }

    /// Joins the flight of `key`, or leads it.
    pub(super) fn join(
        &mut self,
        key: Key,
        now: UnixTime,
        deadline: UnixTime,
        waker: impl FnOnce() -> W,
    ) -> Asked {
        if let Some(ticket) = self.open(key, now, deadline) {
            return Asked::Lead(ticket);
        }
        let number = self.led.get(&key).copied().unwrap_or_default();
        let Some(Flight::Led { waiters, .. }) = self.flights.get_mut(&number) else {
            return Asked::Full;
        };
        if waiters.len() >= self.max_waiters {
            return Asked::Full;
        }
        let seat = number_of(&mut self.next);
        let waiter = Waiter { waker: Some(waker()), deadline, had: deadline.since(now) };
        waiters.insert(seat, waiter);
        Asked::Wait(Ticket { key, flight: number, seat })
    }

    /// Leads a flight of `key`, unless somebody else does.
    pub(super) fn open(&mut self, key: Key, now: UnixTime, deadline: UnixTime) -> Option<Ticket> {
        let seat = number_of(&mut self.next);
        let first = Leader { seat, standing: Standing::First, since: now, deadline };
        if let Some(&number) = self.led.get(&key)
            && let Some(Flight::Led { leader, .. }) = self.flights.get_mut(&number)
        {
            if leader.standing != Standing::Vacant && !leader.is_lost(now) {
                return None;
            }
            *leader = first;
            return Some(Ticket { key, flight: number, seat });
        }
        self.sweep(now, None);
        self.flights.insert(seat, Flight::Led { leader: first, waiters: BTreeMap::new(), key });
        self.led.insert(key, seat);
        Some(Ticket { key, flight: seat, seat })
    }

    /// Whether the flight of a ticket is led by its holder.
    pub(super) fn leads(&self, ticket: &Ticket) -> bool {
        matches!(
            self.flights.get(&ticket.flight),
            Some(Flight::Led { leader, .. }) if leader.seat == ticket.seat
        )
    }

    /// Hands the answer to all who wait, if the holder of the ticket leads; whom to wake.
    pub(super) fn land(
        &mut self,
        ticket: Ticket,
        verdict: &Verdict,
        stale: bool,
        now: UnixTime,
    ) -> Vec<W> {
        let mut wake = Vec::new();
        if !self.leads(&ticket) {
            wake.extend(self.leave(&ticket, now));
        } else if !(matches!(verdict, Verdict::Unavailable)
            && self.pass_on(ticket.flight, now, &mut wake))
        {
            self.finish(ticket.flight, verdict, stale, now, &mut wake);
        }
        self.sweep(now, Some(&mut wake));
        wake
    }

    /// `waker` makes what wakes the holder of the ticket, should it have to wait once more.
    pub(super) fn collect(
        &mut self,
        ticket: Ticket,
        now: UnixTime,
        waker: impl FnOnce() -> W,
    ) -> Collected<W> {
        self.fill_vacancy(&ticket, now);
        match self.flights.get_mut(&ticket.flight) {
            Some(Flight::Landed { verdict, stale, seats, .. }) => {
                if !seats.remove(&ticket.seat) {
                    return Collected::Late(None);
                }
                let landed = Collected::Landed { verdict: verdict.clone(), stale: *stale };
                if seats.is_empty() {
                    self.flights.remove(&ticket.flight);
                }
                landed
            }
            Some(Flight::Led { leader, .. }) if leader.seat == ticket.seat => {
                if leader.standing != Standing::ToBe {
                    return Collected::Wait(ticket);
                }
                let left = leader.deadline.since(now);
                if left == 0 {
                    return Collected::Late(self.succeed(ticket.flight, now));
                }
                leader.standing = Standing::Promoted;
                Collected::Lead(ticket, left)
            }
            Some(Flight::Led { waiters, .. }) => match waiters.get_mut(&ticket.seat) {
                Some(waiter) if now < waiter.deadline => {
                    waiter.waker.get_or_insert_with(waker);
                    Collected::Wait(ticket)
                }
                _ => {
                    waiters.remove(&ticket.seat);
                    Collected::Late(None)
                }
            },
            None => Collected::Late(None),
        }
    }

    pub(super) fn leave(&mut self, ticket: &Ticket, now: UnixTime) -> Option<W> {
        match self.flights.get_mut(&ticket.flight)? {
            Flight::Led { leader, .. } if leader.seat == ticket.seat => {
                return self.succeed(ticket.flight, now);
            }
            Flight::Led { leader, waiters, .. } => {
                waiters.remove(&ticket.seat);
                if leader.standing == Standing::Vacant && waiters.is_empty() {
                    return self.succeed(ticket.flight, now);
                }
            }
            Flight::Landed { seats, .. } => {
                seats.remove(&ticket.seat);
                if seats.is_empty() {
                    self.flights.remove(&ticket.flight);
                }
            }
        }
        None
    }

    /// Takes every flight from its leader; whom to wake. Those that nobody waits for are over.
    pub(super) fn disband(&mut self) -> Vec<W> {
        let mut wake = Vec::new();
        let Self { flights, led, next, .. } = self;
        flights.retain(|_, flight| {
            let Flight::Led { leader, waiters, key } = flight else { return true };
            wake.extend(waiters.values_mut().filter_map(|waiter| waiter.waker.take()));
            if leader.standing == Standing::ToBe {
                waiters.insert(leader.seat, leader.woken());
            }
            if waiters.is_empty() {
                led.remove(key);
                return false;
            }
            leader.vacate(number_of(next), waiters);
            true
        });
        wake
    }

    /// Flights under way, flights that landed, and requests that wait for one of either.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let waiting = |flight: &Flight<W>| match flight {
            Flight::Led { waiters, .. } => waiters.len(),
            Flight::Landed { seats, .. } => seats.len(),
        };
        let landed = self.flights.len().saturating_sub(self.led.len());
        let waiting = self.flights.values().map(waiting).fold(0, usize::saturating_add);
        (self.led.len(), landed, waiting)
    }

    /// The leader has gone: whoever waits longest, unwoken, is to lead; whom to wake. Where all have
    /// been woken it is the first that comes; without any, the flight is over.
    fn succeed(&mut self, number: u64, now: UnixTime) -> Option<W> {
        let Some(Flight::Led { leader, waiters, key }) = self.flights.get_mut(&number) else {
            return None;
        };
        let unwoken = waiters.iter().find(|(_, waiter)| waiter.waker.is_some());
        if let Some((&seat, _)) = unwoken
            && let Some(waiter) = waiters.remove(&seat)
        {
            let (next, waker) = waiter.promoted(seat, now);
            *leader = next;
            return waker;
        }
        if waiters.is_empty() {
            self.led.remove(key);
            self.flights.remove(&number);
        } else {
            leader.vacate(number_of(&mut self.next), waiters);
        }
        None
    }

    /// Where nobody leads, the holder of the ticket is to, if it waits.
    fn fill_vacancy(&mut self, ticket: &Ticket, now: UnixTime) {
        if let Some(Flight::Led { leader, waiters, .. }) = self.flights.get_mut(&ticket.flight)
            && leader.standing == Standing::Vacant
            && let Some(waiter) = waiters.remove(&ticket.seat)
        {
            (*leader, _) = waiter.promoted(ticket.seat, now);
        }
    }

    /// Nothing came while a promoted leader had time: others who have some left try in turn, those
    /// who have not are told so. False where this is none of that.
    fn pass_on(&mut self, number: u64, now: UnixTime, wake: &mut Vec<W>) -> bool {
        let Some(Flight::Led { leader, waiters, .. }) = self.flights.get_mut(&number) else {
            return false;
        };
        let youngest_has_time = waiters.last_key_value().is_some_and(|(_, w)| now < w.deadline);
        if leader.standing != Standing::Promoted || now < leader.deadline || !youngest_has_time {
            return false;
        }
        while let Some(late) = waiters.first_entry().filter(|first| now >= first.get().deadline) {
            wake.extend(late.remove().waker);
        }
        wake.extend(self.succeed(number, now));
        true
    }

    /// The flight has landed.
    fn finish(
        &mut self,
        number: u64,
        verdict: &Verdict,
        stale: bool,
        now: UnixTime,
        wake: &mut Vec<W>,
    ) {
        let Some(Flight::Led { waiters, key, .. }) = self.flights.remove(&number) else { return };
        self.led.remove(&key);
        if waiters.is_empty() {
            return;
        }
        let seats = waiters.keys().copied().collect();
        wake.extend(waiters.into_values().filter_map(|waiter| waiter.waker));
        let landed = Flight::Landed { verdict: verdict.clone(), stale, at: now, seats };
        self.flights.insert(number, landed);
    }

    /// Looks at some flights for such as nobody will come for. Those of a lost leader that others
    /// wait for go to the next of them, where there is somebody to `wake` it.
    fn sweep(&mut self, now: UnixTime, mut wake: Option<&mut Vec<W>>) {
        for _ in 0..SWEPT_AT_ONCE {
            let at_hand = self.flights.range(self.hand..).next();
            let Some((&number, flight)) = at_hand.or_else(|| self.flights.first_key_value()) else {
                return;
            };
            self.hand = number.wrapping_add(1);
            match flight {
                Flight::Landed { at, .. }
                    if now.since(*at) > UNCOLLECTED_MS || at.since(now) > CLOCK_SLACK_MS =>
                {
                    self.flights.remove(&number);
                }
                Flight::Led { leader, key, .. }
                    if leader.standing == Standing::Vacant && leader.is_lost(now) =>
                {
                    self.led.remove(key);
                    self.flights.remove(&number);
                }
                Flight::Led { leader, waiters, .. } if leader.is_lost(now) => match &mut wake {
                    Some(wake) => wake.extend(self.succeed(number, now)),
                    None if waiters.is_empty() => drop(self.succeed(number, now)),
                    None => {}
                },
                _ => {}
            }
        }
    }
}

impl Leader {
    /// Whether its callout must have ended, and nobody has heard of it; or began at a time that is
    /// yet to come: then the clock went back and nobody knows when it ends. One that was woken too
    /// late to lead has time to say so.
    fn is_lost(&self, now: UnixTime) -> bool {
        now.since(self.deadline.max(self.since)) > LOST_AFTER_MS
            || self.since.since(now) > CLOCK_SLACK_MS
    }

    /// One that was woken to lead, as one that was woken.
    fn woken<W>(&self) -> Waiter<W> {
        Waiter { waker: None, deadline: self.deadline, had: self.deadline.since(self.since) }
    }

    /// Nobody leads from here on, and `seat` is nobody's: the flight is lost when all who wait are late.
    fn vacate<W>(&mut self, seat: u64, waiters: &BTreeMap<u64, Waiter<W>>) {
        let last = waiters.values().map(|waiter| waiter.deadline).max();
        self.deadline = last.unwrap_or(self.deadline);
        (self.seat, self.standing) = (seat, Standing::Vacant);
    }
}

impl<W> Waiter<W> {
    /// As the one that is to lead; and its waker. It has no more time than it ever had, even where
    /// the clock went back.
    fn promoted(self, seat: u64, now: UnixTime) -> (Leader, Option<W>) {
        let deadline = self.deadline.min(now.after(self.had));
        (Leader { seat, standing: Standing::ToBe, since: now, deadline }, self.waker)
    }
}

/// A number that was not there before.
fn number_of(next: &mut u64) -> u64 {
    let number = *next;
    *next = next.wrapping_add(1);
    number
}
