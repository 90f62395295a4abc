//! One request on the in-memory host, from the client to the upstream and back.

use std::rc::Rc;

use pintle_core::testing::corpus::{CalloutEnd, FieldLines};
use pintle_core::testing::{MemoryHost, Record, Sender, SentCallout, World, with_outcome};
use pintle_core::{Answer, Event, LocalReply, Passage, Policy, Scratch, Stream, UnixTime};

use super::grpc;

/// What a client sends, and what the upstream would answer.
pub struct Exchange {
    /// Pseudo-headers, and fields as they came, repeats kept.
    pub request: FieldLines,
    /// What the upstream answers, where it is reached.
    pub response: Response,
}

/// What an upstream answers.
pub struct Response {
    /// The status.
    pub status: u16,
    /// Fields beside `:status`.
    pub fields: FieldLines,
    /// The content.
    pub content: Vec<u8>,
}

/// Says how a callout ends; `None`: nobody knows.
pub type Answers<'a> = dyn FnMut(&SentCallout) -> Option<CalloutEnd> + 'a;

/// What came of a request.
pub struct Course {
    /// What happened, in order.
    pub records: Vec<Record>,
    /// The callouts that were started, each with its end if that is known.
    pub callouts: Vec<(SentCallout, Option<CalloutEnd>)>,
    /// What the upstream gets; `None`: nothing.
    pub upstream: Option<Upstream>,
    /// What the client gets; `None` where a callout has no end.
    pub client: Option<Client>,
}

/// What an upstream gets.
pub struct Upstream {
    /// Pseudo-headers, and fields.
    pub fields: FieldLines,
}

/// What a client gets.
pub struct Client {
    /// The status.
    pub status: u16,
    /// The status before a proxy makes a gRPC one of it.
    pub http_status: u16,
    /// Fields beside `:status`.
    pub fields: FieldLines,
    /// The content.
    pub content: Vec<u8>,
    /// Response-code details of an own reply; `None`: it is the upstream's.
    pub details: Option<String>,
}

/// The start of 2026: time stands still, and nothing is remembered from one run to the next.
const NOW: UnixTime = UnixTime(1_767_225_600_000);

impl Course {
    /// Sends it.
    pub fn run(policy: &Policy, exchange: &Exchange, answers: &mut Answers<'_>) -> Self {
        let world = Rc::new(World::of(policy));
        world.now.set(NOW);
        world.has_all_clusters.set(true);
        Self::run_in(policy, exchange, answers, &world)
    }

    /// Like [`Course::run`], in a world that was made for it.
    pub fn run_in(
        policy: &Policy,
        exchange: &Exchange,
        answers: &mut Answers<'_>,
        world: &Rc<World>,
    ) -> Self {
        let mut host = MemoryHost::new(exchange.request.clone());
        host.world = Rc::clone(world);
        host.start_recording();
        let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
        let mut callouts = Vec::new();
        let mut answer = policy.on_request(&mut stream, &mut host, &mut scratch);
        while matches!(answer, Answer::Wait) && stream.is_waiting() {
            let Some((id, sent)) = world.callouts.borrow_mut().pop_first() else { break };
            let end = match sent.sender {
                Sender::Stream(_) => answers(&sent),
                // What is sent on behalf of no request decides nothing about this one.
                Sender::Errand(_) => continue,
            };
            let reply = end.as_ref().map(CalloutEnd::answer);
            callouts.push((sent, end));
            let Some(reply) = reply else { break };
            answer = with_outcome(reply.as_ref(), |outcome| {
                let event = Event::Ended(id, outcome);
                policy.on_event(&mut stream, event, &mut host, &mut scratch)
            });
        }
        let is_head = exchange.request.iter().any(|(n, v)| n == b":method" && v == b"HEAD");
        let (upstream, client) = match answer {
            Answer::Reply(reply) => {
                let client = Client::of_own(&reply, is_head);
                let is_grpc = grpc::is_request(&exchange.request);
                (None, Some(if is_grpc { grpc::answer(client) } else { client }))
            }
            Answer::Wait => (None, None),
            Answer::Continue => {
                let upstream = Upstream { fields: host.request.clone() };
                let response = &exchange.response;
                let client =
                    respond(policy, response, is_head, &mut host, &mut stream, &mut scratch);
                (Some(upstream), Some(client))
            }
        };
        Self { records: host.take_records(), callouts, upstream, client }
    }
}

impl Client {
    fn of_own(reply: &LocalReply<'_>, is_head: bool) -> Self {
        Self {
            status: reply.status,
            http_status: reply.status,
            fields: reply.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            // A proxy leaves out the content of a response to HEAD.
            content: if is_head { Vec::new() } else { reply.body.to_vec() },
            details: Some(reply.details.clone().into_owned()),
        }
    }
}

/// Brings the upstream's answer back through the chain.
fn respond(
    policy: &Policy,
    response: &Response,
    is_head: bool,
    host: &mut MemoryHost,
    stream: &mut Stream,
    scratch: &mut Scratch,
) -> Client {
    // Not every host has the request any more when the response comes.
    host.request.clear();
    host.response.push((b":status".to_vec(), response.status.to_string().into_bytes()));
    host.response.extend(response.fields.iter().cloned());
    let content = if is_head { &[][..] } else { &response.content };
    let content = match policy.on_response(stream, host, scratch, content.is_empty()) {
        Passage::Keep => content.to_vec(),
        Passage::Give(content) => content,
        Passage::Replace => {
            stream.take(content);
            policy.content(stream)
        }
    };
    let fields = host.response.iter().filter(|(name, _)| !name.starts_with(b":"));
    let status = response.status;
    let fields = fields.cloned().collect();
    Client { status, http_status: status, fields, content, details: None }
}
