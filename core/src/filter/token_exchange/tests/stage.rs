//! Requests, a service that answers when it is told to, and what both see.

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use crate::config::HashKey;
use crate::host::{Level, UnixTime};
use crate::policy::{Answer, Policy};
use crate::scratch::Scratch;
use crate::stream::Stream;
use crate::testing::{MemoryHost, Sender, SentCallout, World};
use crate::{CalloutAnswer, CalloutId, Event, Outcome};

/// An instance of a policy.
pub(super) struct Stage {
    pub(super) policy: Policy,
    pub(super) world: Rc<World>,
}

/// One request.
pub(super) struct Client {
    pub(super) host: MemoryHost,
    pub(super) stream: Stream,
    scratch: Scratch,
}

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Got {
    On,
    Wait,
    Reply { status: u16, details: String, fields: Vec<(String, String)>, body: String },
}

/// What the service answers with.
pub(super) type Lines<'a> = &'a [(&'a str, &'a str)];

impl Stage {
    /// Of a filter with these fields beside those that it must have.
    pub(super) fn of(fields: &str) -> Self {
        Self::document(&document(fields))
    }

    pub(super) fn document(document: &str) -> Self {
        let policy = Policy::load(document.as_bytes(), HashKey::new([7; 16]));
        let policy = policy.unwrap_or_else(|errors| panic!("{errors}\n{document}"));
        let world = Rc::new(World::of(&policy));
        world.now.set(UnixTime(1_800_000_000_000));
        Self { policy, world }
    }

    /// A request, and what became of it when it came.
    pub(super) fn request(&self, number: usize, lines: Lines<'_>) -> (Client, Got) {
        let mut fields = vec![(b":method".to_vec(), b"GET".to_vec())];
        fields.push((b":path".to_vec(), b"/?query=s3cret-query".to_vec()));
        let own =
            |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        fields.extend(lines.iter().map(own));
        let mut host = MemoryHost::new(fields);
        host.world = self.world.clone();
        host.number = number;
        let mut client = Client { host, stream: Stream::default(), scratch: Scratch::default() };
        let Client { host, stream, scratch } = &mut client;
        let got = got(self.policy.on_request(stream, host, scratch));
        (client, got)
    }

    pub(super) fn event(&self, client: &mut Client, event: Event<'_>) -> Got {
        let Client { host, stream, scratch } = client;
        got(self.policy.on_event(stream, event, host, scratch))
    }

    /// The callout that was started last.
    pub(super) fn sent(&self) -> (CalloutId, SentCallout) {
        self.world.callouts.borrow_mut().pop_last().expect("a callout under way")
    }

    pub(super) fn under_way(&self) -> usize {
        self.world.callouts.borrow().len()
    }

    /// The callout that was started last, which is that of this request, is answered.
    pub(super) fn answer(
        &self,
        client: &mut Client,
        status: u16,
        lines: Lines<'_>,
        body: &str,
    ) -> Got {
        let (id, sent) = self.sent();
        assert!(matches!(sent.sender, Sender::Stream(number) if number == client.host.number));
        with_answer(status, lines, body, |outcome| self.event(client, Event::Ended(id, outcome)))
    }

    /// The same with one that was sent out.
    pub(super) fn answer_errand(&self, status: u16, lines: Lines<'_>, body: &str) -> MemoryHost {
        let (_, sent) = self.sent();
        let Sender::Errand(errand) = sent.sender else { panic!("not an errand") };
        let mut host = MemoryHost::new(Vec::new());
        host.world = self.world.clone();
        with_answer(status, lines, body, |outcome| self.policy.on_errand(errand, outcome, &host));
        host
    }

    /// The streams that were woken since this was last asked.
    pub(super) fn woken(&self) -> Vec<usize> {
        core::mem::take(&mut self.world.woken.borrow_mut())
    }

    pub(super) fn pass(&self, milliseconds: u64) {
        self.world.now.set(self.world.now.get().after(milliseconds));
    }

    /// How far this request moved the metric.
    pub(super) fn metric(&self, client: &Client, name: &str) -> i64 {
        self.metric_of(&client.host, name)
    }

    pub(super) fn metric_of(&self, host: &MemoryHost, name: &str) -> i64 {
        let name = format!("token_exchange.{name}");
        let mut names = self.policy.metrics().iter().map(|metric| metric.module().to_string());
        let place = names.position(|metric| metric == name).unwrap_or_else(|| panic!("{name}"));
        host.gauge(place) + i64::try_from(host.count(place)).unwrap()
    }
}

impl Client {
    /// The values of a field as the upstream would see it, with `|` between.
    pub(super) fn values(&self, name: &str) -> String {
        let values = self.host.request.iter().filter(|(n, _)| n == name.as_bytes());
        let values: Vec<_> = values.map(|(_, v)| String::from_utf8_lossy(v).into_owned()).collect();
        values.join("|")
    }

    pub(super) fn logged(&self, level: Level) -> String {
        let lines = self.host.log_lines().into_iter().filter(|(l, _)| *l == level);
        lines.map(|(_, line)| line + "\n").collect()
    }
}

impl Got {
    pub(super) fn reply(status: u16, slug: &str, fields: Lines<'_>, body: &str) -> Self {
        let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let mut fields: Vec<_> = fields.iter().map(own).collect();
        if !body.is_empty() && !fields.iter().any(|(name, _)| name == "content-type") {
            fields.push(("content-type".into(), "text/plain".into()));
        }
        let details = format!("pintle_{slug}");
        Self::Reply { status, details, fields, body: body.into() }
    }

    pub(super) fn unavailable() -> Self {
        let body = "The token service is not available.";
        Self::reply(503, "exchange_unavailable", &[("retry-after", "1")], body)
    }

    pub(super) fn unusable() -> Self {
        let body = "The token service gave no token.";
        Self::reply(503, "exchange_unusable", &[("retry-after", "1")], body)
    }
}

pub(super) fn document(fields: &str) -> String {
    let required = r#""cluster": "auth", "authority": "auth.example.com", "path": "/token""#;
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"filters": [{{"token_exchange": {{{required}{comma}{fields}}}}}]}}"#)
}

/// Field lines as text.
pub(super) fn text(lines: &[(Vec<u8>, Vec<u8>)]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    lines.iter().map(|(name, value)| format!("{}: {}\n", text(name), text(value))).collect()
}

fn with_answer<R>(
    status: u16,
    lines: Lines<'_>,
    body: &str,
    hand: impl FnOnce(Outcome<'_>) -> R,
) -> R {
    let fields: Vec<(&[u8], &[u8])> =
        lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    hand(Outcome::Answer(CalloutAnswer { status, fields: &fields, body: body.as_bytes() }))
}

fn got(answer: Answer<'_>) -> Got {
    match answer {
        Answer::Continue => Got::On,
        Answer::Wait => Got::Wait,
        Answer::Reply(reply) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Got::Reply {
                status: reply.status,
                fields: reply.fields().map(|(n, v)| (text(n), text(v))).collect(),
                body: text(&reply.body),
                details: reply.details.into_owned(),
            }
        }
    }
}
