//! Exchanges of the corpus in memory.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::corpus::{
    self, CalloutReply, Exchange, FieldLines, Request, Seen, SeenUpstream, Service,
};
use super::memory::MemoryHost;
use super::world::{Sender, SentCallout, World};
use crate::callout::{CalloutAnswer, Event, Outcome};
use crate::content::Passage;
use crate::fields::FieldName;
use crate::filter::FilterSet;
use crate::host::{Host, Level, Section, UnixTime};
use crate::metrics::MetricKind;
use crate::policy::{Answer, LocalReply, Policy};
use crate::scratch::Scratch;
use crate::stream::Stream;

/// Runs one exchange of the corpus in memory: request, callouts, upstream, response, as often as it
/// says.
pub fn run<X: FilterSet>(policy: &Policy<X>, exchange: &Exchange) -> Seen {
    run_in(policy, exchange, &Rc::new(World::of(policy)))
}

/// Like [`run`], in a world that was made for it.
pub fn run_in<X: FilterSet>(policy: &Policy<X>, exchange: &Exchange, world: &Rc<World>) -> Seen {
    world.now.set(START);
    let mut errands = MemoryHost::new(Vec::new());
    errands.world = Rc::clone(world);
    let mut course = Course { policy, service: Service::of(exchange), errands };
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let (mut seen, mut counters, mut logs) = (Seen::default(), BTreeMap::new(), Vec::new());
    for number in 0..exchange.repeat {
        if number > 0 {
            world.now.set(world.now.get().after(exchange.advance_ms));
        }
        let mut host = MemoryHost::new(lines(&exchange.request));
        (host.world, host.number) = (Rc::clone(world), number);
        stream.clear();
        seen = course.once(exchange, &mut host, &mut stream, &mut scratch);
        count(policy, &host, &mut counters);
        logs.extend(log_lines(&host));
    }
    count(policy, &course.errands, &mut counters);
    logs.extend(log_lines(&course.errands));
    let callouts = course.service.finish();
    Seen { counters, logs, callouts, ..seen }
}

/// Pseudo-headers, and fields as they came, repeats kept.
fn lines(request: &Request) -> FieldLines {
    let mut lines = alloc::vec![
        (b":method".to_vec(), request.method.clone().into_bytes()),
        (b":path".to_vec(), request.path.clone().into_bytes()),
        (b":authority".to_vec(), request.authority.clone().into_bytes()),
        (b":scheme".to_vec(), b"http".to_vec()),
    ];
    lines.extend(request.message.fields.iter().cloned());
    lines
}

/// The start of 2026.
const START: UnixTime = UnixTime(1_767_225_600_000);

struct Course<'c, X: FilterSet> {
    policy: &'c Policy<X>,
    service: Service<'c>,
    /// The host of no stream.
    errands: MemoryHost,
}

impl<'c, X: FilterSet> Course<'c, X> {
    fn once(
        &mut self,
        exchange: &Exchange,
        host: &mut MemoryHost,
        stream: &mut Stream,
        scratch: &mut Scratch,
    ) -> Seen {
        let policy = self.policy;
        let mut answer = policy.on_request(stream, host, scratch);
        while matches!(answer, Answer::Wait) && stream.is_waiting() {
            match self.step(host, stream, scratch) {
                Some(next) => answer = next,
                None => break,
            }
        }
        let mut seen = match answer {
            Answer::Reply(reply) => replied(&reply, exchange.request.method == "HEAD"),
            Answer::Wait => Seen { details: "waits for ever".to_string(), ..Seen::default() },
            Answer::Continue => went_on(policy, exchange, host, stream, scratch),
        };
        seen.notes = host.notes.clone();
        // What was sent out ends before anything else happens.
        while self.step(host, stream, scratch).is_some() {}
        seen
    }

    /// Lets happen what is next, if anything is; what comes of it for the stream.
    fn step(
        &mut self,
        host: &mut MemoryHost,
        stream: &mut Stream,
        scratch: &mut Scratch,
    ) -> Option<Answer<'c>> {
        let woken = host.world.woken.borrow_mut().pop();
        if let Some(number) = woken {
            let own = number == host.number;
            return Some(match own {
                true => self.policy.on_event(stream, Event::Woken, host, scratch),
                false => Answer::Wait,
            });
        }
        let (id, callout) = host.world.callouts.borrow_mut().pop_first()?;
        let reply = self.service.ask(callout.seen()).answer();
        Some(with_outcome(reply.as_ref(), |outcome| match callout.sender {
            Sender::Stream(number) if number == host.number => {
                self.policy.on_event(stream, Event::Ended(id, outcome), host, scratch)
            }
            Sender::Stream(_) => Answer::Wait,
            Sender::Errand(errand) => {
                self.policy.on_errand(errand, outcome, &self.errands);
                Answer::Wait
            }
        }))
    }
}

impl SentCallout {
    /// As the service of a case compares it.
    pub fn seen(&self) -> corpus::SeenCallout<'_> {
        corpus::SeenCallout {
            cluster: Some(&self.cluster),
            fields: &self.fields,
            body: &self.body,
            timeout_ms: Some(self.timeout_ms),
        }
    }
}

/// Hands an answer to `work` in the form in which a policy gets it; without one the callout failed.
pub fn with_outcome<R>(reply: Option<&CalloutReply>, work: impl FnOnce(Outcome<'_>) -> R) -> R {
    let Some(reply) = reply else { return work(Outcome::Failed) };
    let fields: Vec<(&[u8], &[u8])> =
        reply.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    work(Outcome::Answer(CalloutAnswer {
        status: reply.status,
        fields: &fields,
        body: &reply.body,
    }))
}

/// A proxy leaves out the content of a response to `HEAD`.
fn replied(reply: &LocalReply<'_>, is_head: bool) -> Seen {
    Seen {
        status: reply.status,
        fields: reply.fields().map(|(n, v)| (n.to_vec(), v.to_vec())).collect(),
        body: if is_head { Vec::new() } else { reply.body.to_vec() },
        details: reply.details.clone().into_owned(),
        ..Seen::default()
    }
}

fn went_on<X: FilterSet>(
    policy: &Policy<X>,
    exchange: &Exchange,
    host: &mut MemoryHost,
    stream: &mut Stream,
    scratch: &mut Scratch,
) -> Seen {
    let value =
        |name: &'static FieldName| host.values(Section::Request, name).next().unwrap_or_default();
    let message = &exchange.request.message;
    let upstream = SeenUpstream {
        method: String::from_utf8_lossy(value(FieldName::METHOD)).into_owned(),
        path: value(FieldName::PATH).to_vec(),
        fields: ordinary(&host.request),
        body_bytes: u64::try_from(message.body.len()).unwrap_or(u64::MAX),
        trailers: message.trailers.clone(),
    };
    // Not every host has the request any more when the response comes.
    host.request.clear();
    let response = &exchange.response;
    host.response.push((b":status".to_vec(), response.status.to_string().into_bytes()));
    host.response.extend(response.message.fields.iter().cloned());
    let body = pass_on(policy, exchange, host, stream, scratch);
    Seen {
        status: response.status,
        fields: ordinary(&host.response),
        body,
        details: "via_upstream".to_string(),
        upstream: Some(upstream),
        ..Seen::default()
    }
}

/// Brings the response to the policy, content in pieces; the content that the client gets.
fn pass_on<X: FilterSet>(
    policy: &Policy<X>,
    exchange: &Exchange,
    host: &mut MemoryHost,
    stream: &mut Stream,
    scratch: &mut Scratch,
) -> Vec<u8> {
    /// Shorter than most contents, and than some characters of them.
    const PIECE_BYTES: usize = 5;

    let response = &exchange.response.message;
    let is_head = exchange.request.method == "HEAD";
    let ends = response.body.is_empty() && !response.chunked && response.trailers.is_empty();
    let body = if is_head { &[][..] } else { &response.body };
    match policy.on_response(stream, host, scratch, is_head || ends) {
        Passage::Keep => body.to_vec(),
        Passage::Give(content) => content,
        Passage::Replace => {
            body.chunks(PIECE_BYTES).for_each(|piece| stream.take(piece));
            policy.content(stream)
        }
    }
}

fn ordinary(lines: &FieldLines) -> FieldLines {
    lines.iter().filter(|(name, _)| !name.starts_with(b":")).cloned().collect()
}

fn count<X: FilterSet>(
    policy: &Policy<X>,
    host: &MemoryHost,
    counters: &mut BTreeMap<String, u64>,
) {
    for (place, metric) in policy.metrics().iter().enumerate() {
        if metric.measure.kind() == MetricKind::Counter {
            let count = counters.entry(metric.module().to_string()).or_default();
            *count = count.saturating_add(host.count(place));
        }
    }
}

fn log_lines(host: &MemoryHost) -> impl Iterator<Item = corpus::LogLine> {
    let line = |(level, message): (Level, String)| corpus::LogLine {
        level: level.name().to_string(),
        message,
    };
    host.log_lines().into_iter().map(line)
}
