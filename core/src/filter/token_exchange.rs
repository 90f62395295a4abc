//! `token_exchange`: the caller's credential is traded for a token, which the upstream gets.

mod answer;
mod cache;
pub(crate) mod config;
mod fingerprint;
pub mod grant;
mod left;
mod life;
mod meters;
mod pending;
pub(crate) mod question;
mod reading;
pub(crate) mod reply;

use alloc::boxed::Box;

pub(crate) use answer::TokenPlace;
use cache::Cache;
pub use config::TokenExchangeFields;
use left::Left;
use pending::{Asked, Lead, Pending};
use question::Question;
use reply::Replies;

use crate::callout::{Errand, Event, Outcome};
use crate::config::{Load, Pointer};
use crate::denial::Denial;
use crate::fields::{FieldName, FieldValue};
use crate::filter::{Filter, Home, Phases, Request};
use crate::flow::Flow;
use crate::host::{Edit, Host, Level, Section};
use crate::metrics::Meter;
use crate::policy::Mode;
use crate::problem::DenyFormat;
use crate::store::{self, Collected, Key, Landed, Life, StoreSpec, Ticket, Verdict};
use crate::stream::Waiting;

/// See [`TokenExchangeFields`].
#[derive(Debug)]
pub struct TokenExchange {
    question: Box<Question>,
    place: TokenPlace,
    max_token_bytes: usize,
    header: FieldName,
    /// The header is `authorization`, with the scheme `Bearer`.
    bearer: bool,
    /// The header is a part of the question too.
    reads_header: bool,
    on_missing: Otherwise,
    on_unavailable: Otherwise,
    on_bad_answer: Otherwise,
    replies: Box<Replies>,
    cache: Option<Cache>,
    deny_format: Option<DenyFormat>,
    /// Fields of requests that hold secrets.
    secrets: Box<[FieldName]>,
}

/// What becomes of a request that gets no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// It goes on.
    Allow,
    /// It is answered.
    Deny,
}

/// What stands before a token in `authorization`, in bytes.
const SCHEME_BYTES: usize = 7;

impl Filter for TokenExchange {
    const KIND: &'static str = "token_exchange";
    const DENIALS: &'static [Denial] = &[
        Denial::NoCredentials,
        Denial::MalformedCredentials,
        Denial::RepeatedCredentials,
        Denial::ExchangeRefused,
        Denial::ExchangeUnavailable,
        Denial::ExchangeUnusable,
        Denial::ExchangeOverloaded,
    ];
    const METERS: &'static [Meter] = meters::METERS;
    type Fields = TokenExchangeFields;

    fn compile(fields: TokenExchangeFields, at: &Pointer<'_>, load: &mut Load) -> Option<Self> {
        fields.compile(at, load)
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn identity_fields(&self) -> &[FieldName] {
        // A field that is read is replaced or removed after that.
        if self.reads_header { &[] } else { core::slice::from_ref(&self.header) }
    }

    fn secret_fields(&self) -> &[FieldName] {
        &self.secrets
    }

    fn deny_format(&self) -> Option<DenyFormat> {
        self.deny_format
    }

    fn store(&self) -> Option<&StoreSpec> {
        self.cache.as_ref().map(|cache| &cache.spec)
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let credential = match self.question.presented(host) {
            Ok(Some(credential)) => credential,
            Ok(None) => return self.otherwise(self.on_missing, Denial::NoCredentials, host),
            Err(denial) => return Flow::Reply(self.replies.of(denial)),
        };
        if request.mode == Mode::Observe {
            return Flow::Pause;
        }
        match &self.cache {
            None => self.ask(None, self.question.timeout_ms(), host, request),
            Some(cache) => {
                let key = cache.key(&self.question, credential, host);
                self.look_up(cache, key, host, request)
            }
        }
    }

    fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let pending = match request.waiting.take().map(|waiting| waiting.downcast::<Pending>()) {
            Some(Ok(pending)) => *pending,
            Some(Err(_)) | None => return self.carry_out(Verdict::Unavailable, host),
        };
        match (pending, event) {
            (Pending::Callout(own, asked), Event::Ended(id, outcome)) if own == id => {
                let (verdict, stale) = self.ended(asked, outcome, host, request.home);
                host.add(request.home.metric(meters::STALE), u64::from(stale));
                self.carry_out(verdict, host)
            }
            (Pending::Flight(key, ticket), Event::Woken) => {
                self.collect(key, ticket, host, request)
            }
            (pending, _) => pause(pending, request),
        }
    }

    fn on_gone<H: Host>(&self, waiting: Waiting, host: &H, home: Home) {
        let (key, ticket) = match waiting.downcast::<Pending>().map(|pending| *pending) {
            Ok(Pending::Callout(_, Asked { lead: Some(lead), .. })) => (lead.key, lead.ticket),
            Ok(Pending::Flight(key, ticket)) => {
                host.shift(home.metric(meters::WAITING), -1);
                (key, ticket)
            }
            _ => return,
        };
        let now = host.now();
        let next = host.shared(home.store, key.hash(), |shard| shard.leave(ticket, now));
        next.into_iter().for_each(|waker| host.wake(waker));
    }

    fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H, home: Home) {
        if let Ok(asked) = errand.state.downcast::<Asked>() {
            self.ended(*asked, outcome, host, home);
        }
    }
}

impl TokenExchange {
    /// Asks the store, and then perhaps the service.
    fn look_up<'s, H: Host>(
        &'s self,
        cache: &'s Cache,
        key: Key,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let now = host.now();
        let timeout_ms = self.question.timeout_ms();
        let deadline = now.after(u64::from(timeout_ms));
        let home = request.home;
        let asked = host
            .shared(home.store, key.hash(), |shard| shard.ask(key, now, deadline, || host.waker()));
        match asked {
            store::Asked::Known { verdict, refresh } => {
                let hit = match &verdict {
                    Verdict::Refused(_) => meters::NEGATIVE_HITS,
                    _ => meters::HITS,
                };
                host.add(home.metric(hit), 1);
                if let Some(ticket) = refresh {
                    self.refresh(cache, key, ticket, host, request);
                }
                self.carry_out(verdict, host)
            }
            store::Asked::Lead(ticket) => self.lead(cache, key, ticket, timeout_ms, host, request),
            store::Asked::Wait(ticket) => {
                host.add(home.metric(meters::COALESCED), 1);
                host.shift(home.metric(meters::WAITING), 1);
                pause(Pending::Flight(key, ticket), request)
            }
            store::Asked::Full => Flow::Reply(self.replies.of(Denial::ExchangeOverloaded)),
        }
    }

    /// A request that waits for the callout of another was woken.
    fn collect<'s, H: Host>(
        &'s self,
        key: Key,
        ticket: Ticket,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let (home, now) = (request.home, host.now());
        let (collected, spare) = host.shared(home.store, key.hash(), |shard| {
            let collected = shard.collect(ticket, now, || host.waker());
            let late = matches!(collected, Collected::Late(_));
            (collected, if late { shard.spare(key, now) } else { None })
        });
        if !matches!(collected, Collected::Wait(_)) {
            host.shift(home.metric(meters::WAITING), -1);
        }
        match (collected, &self.cache) {
            (Collected::Wait(ticket), _) => pause(Pending::Flight(key, ticket), request),
            (Collected::Landed { verdict, stale }, _) => {
                host.add(home.metric(meters::STALE), u64::from(stale));
                self.carry_out(verdict, host)
            }
            (Collected::Lead(ticket, left_ms), Some(cache)) => {
                let left_ms = u32::try_from(left_ms).unwrap_or(u32::MAX);
                let left_ms = left_ms.clamp(1, self.question.timeout_ms());
                self.lead(cache, key, ticket, left_ms, host, request)
            }
            (Collected::Late(next), _) => {
                next.into_iter().for_each(|waker| host.wake(waker));
                let (verdict, stale) = spare.unwrap_or((Verdict::Unavailable, false));
                host.add(home.metric(meters::STALE), u64::from(stale));
                self.carry_out(verdict, host)
            }
            // Without a cache nobody waits for another.
            (Collected::Lead(..), None) => self.carry_out(Verdict::Unavailable, host),
        }
    }

    /// Finds the answer for all who wait for it: left by another instance, or by a callout.
    fn lead<'s, H: Host>(
        &'s self,
        cache: &Cache,
        key: Key,
        ticket: Ticket,
        timeout_ms: u32,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let home = request.home;
        let (lead, left) = self.recall(cache, key, ticket, host);
        if let Some(Left { value, life }) = left {
            host.add(home.metric(meters::HITS), 1);
            let lead = Lead { slot: None, ..lead };
            let (verdict, _) = self.land(lead, Verdict::Granted(value), Some(life), host, home);
            return self.carry_out(verdict, host);
        }
        host.add(home.metric(meters::MISSES), 1);
        self.ask(Some(lead), timeout_ms, host, request)
    }

    /// Starts a callout for this request.
    fn ask<'s, H: Host>(
        &'s self,
        lead: Option<Lead>,
        timeout_ms: u32,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let at = host.now();
        let sent = self
            .question
            .send(&*host, timeout_ms, request.buffer, |callout| host.dispatch(callout));
        let error = match sent {
            Ok(id) => return pause(Pending::Callout(id, Asked { at, lead }), request),
            Err(error) => error,
        };
        self.log(host, Level::Warn, error);
        let home = request.home;
        host.add(home.metric(meters::UNAVAILABLE), 1);
        let Some(lead) = lead else { return self.carry_out(Verdict::Unavailable, host) };
        let (verdict, stale) = self.land(lead, Verdict::Unavailable, None, host, home);
        host.add(home.metric(meters::STALE), u64::from(stale));
        self.carry_out(verdict, host)
    }

    /// Renews an answer that this request does not wait for.
    fn refresh<H: Host>(
        &self,
        cache: &Cache,
        key: Key,
        ticket: Ticket,
        host: &H,
        request: &mut Request<'_>,
    ) {
        let (home, at) = (request.home, host.now());
        let again = ticket.clone();
        let (lead, left) = self.recall(cache, key, ticket, host);
        if let Some(Left { value, life }) = left.filter(|left| at < left.life.refresh_from) {
            let lead = Lead { slot: None, ..lead };
            self.land(lead, Verdict::Granted(value), Some(life), host, home);
            return;
        }
        let errand = Errand::new(Asked { at, lead: Some(lead) });
        let timeout_ms = self.question.timeout_ms();
        let sent = self
            .question
            .send(host, timeout_ms, request.buffer, |callout| host.send_out(callout, errand));
        if let Err(error) = sent {
            self.log(host, Level::Warn, error);
            host.add(home.metric(meters::UNAVAILABLE), 1);
            let lead = Lead { key, ticket: again, slot: None };
            self.land(lead, Verdict::Unavailable, None, host, home);
        }
    }

    /// Whoever leads looks at what other instances have left first.
    fn recall<H: Host>(
        &self,
        cache: &Cache,
        key: Key,
        ticket: Ticket,
        host: &H,
    ) -> (Lead, Option<Left>) {
        let scheme = if self.bearer { SCHEME_BYTES } else { 0 };
        let max = self.max_token_bytes.saturating_add(scheme);
        let (slot, left) = cache.recall(&self.question, max, host.now(), host);
        (Lead { key, ticket, slot }, left)
    }

    /// A callout has ended: reads the answer, and hands it to all who want it. Gives what is to be
    /// done with the request that asked, and whether that is by an old answer.
    fn ended<H: Host>(
        &self,
        asked: Asked,
        outcome: Outcome<'_>,
        host: &H,
        home: Home,
    ) -> (Verdict, bool) {
        let reading = self.read(outcome, asked.at, host);
        host.record(home.metric(meters::CALLOUT_MS), host.now().since(asked.at));
        host.add(home.metric(reading.result), 1);
        match asked.lead {
            Some(lead) => self.land(lead, reading.verdict, reading.life, host, home),
            None => (reading.verdict, false),
        }
    }

    /// Hands an answer to those who wait for it, to the store, and to other instances.
    fn land<H: Host>(
        &self,
        lead: Lead,
        verdict: Verdict,
        life: Option<Life>,
        host: &H,
        home: Home,
    ) -> (Verdict, bool) {
        let now = host.now();
        let Lead { key, ticket, slot } = lead;
        match (&slot, &verdict, life) {
            (Some(slot), Verdict::Granted(value), Some(life)) if now < life.fresh_until => {
                host.leave(slot, &Left::write(value, life));
            }
            // What was left for a caller who is refused now is good no longer. A slot of somebody
            // else's does not open, and stays.
            (Some(slot), Verdict::Refused(refused), _)
                if matches!(refused.status, 401 | 403)
                    && host.recall(slot).is_some_and(|left| !left.is_empty()) =>
            {
                host.leave(slot, &[]);
            }
            _ => {}
        }
        let Landed { verdict, stale, wake, evicted, entries } =
            host.shared(home.store, key.hash(), |shard| shard.land(ticket, verdict, life, now));
        host.add(home.metric(meters::EVICTED), evicted);
        host.shift(home.metric(meters::ENTRIES), entries);
        wake.into_iter().for_each(|waker| host.wake(waker));
        (verdict, stale)
    }

    /// What becomes of a request.
    fn carry_out<'s, H: Host>(&'s self, verdict: Verdict, host: &mut H) -> Flow<'s> {
        match verdict {
            Verdict::Granted(value) => {
                // Seen to be one where it was read: looking again costs as much as all the rest.
                let value = FieldValue::seen_before(&value);
                host.edit(Section::Request, Edit::Set(&self.header, value));
                Flow::Continue
            }
            Verdict::Refused(refused) => Flow::Reply(self.replies.refused(&refused)),
            Verdict::Unavailable => {
                self.otherwise(self.on_unavailable, Denial::ExchangeUnavailable, host)
            }
            Verdict::Unusable => self.otherwise(self.on_bad_answer, Denial::ExchangeUnusable, host),
        }
    }

    /// What becomes of a request that gets no token.
    fn otherwise<'s, H: Host>(
        &'s self,
        otherwise: Otherwise,
        denial: Denial,
        host: &mut H,
    ) -> Flow<'s> {
        if otherwise == Otherwise::Deny {
            return Flow::Reply(self.replies.of(denial));
        }
        // Any other field was stripped before the first filter. A field that the upstream takes for
        // ours may not be the client's.
        if self.bearer && host.values(Section::Request, &self.header).next().is_some() {
            host.edit(Section::Request, Edit::Remove(&self.header));
        }
        Flow::Continue
    }
}

fn pause<'s>(pending: Pending, request: &mut Request<'_>) -> Flow<'s> {
    *request.waiting = Some(Box::new(pending));
    Flow::Pause
}

#[cfg(all(test, feature = "testing"))]
mod tests;
