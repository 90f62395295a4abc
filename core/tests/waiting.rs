//! Requests that wait: what the chain does around a filter that pauses them.

use std::cell::RefCell;
use std::rc::Rc;

use pintle_core::config::{HashKey, Load, Pointer};
use pintle_core::testing::{MemoryHost, Sender, World};
use pintle_core::{
    Answer, Callout, CalloutAnswer, CalloutId, Denial, DispatchError, Edit, Errand, Event,
    FieldName, FieldValue, Filter, Flow, Home, Host, Outcome, Phases, Policy, Reply, Request,
    Scratch, Section, Stream, Waiting,
};

pintle_core::filters! {
    /// The filter of these tests.
    enum Asking { Ask }
}

/// Asks a service: 200 lets the request go on, anything else answers it.
struct Ask {
    answer: FieldName,
}

thread_local! {
    /// What filters of this test were told beside events.
    static TOLD: RefCell<Vec<&'static str>> = RefCell::default();
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AskFields {}

impl Filter for Ask {
    const KIND: &'static str = "ask";
    const DENIALS: &'static [Denial] = &[Denial::Other(418, "teapot")];
    type Fields = AskFields;

    fn compile(_: AskFields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> {
        let answer = FieldName::parse("x-answer")?;
        Some(Self { answer })
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        if host.values(Section::Request, &self.answer).next() == Some(b"errand") {
            host.send_out(&CALLOUT, Errand::new("an errand")).unwrap();
            return Flow::Continue;
        }
        match host.dispatch(&CALLOUT) {
            Ok(id) => {
                *request.waiting = Some(Box::new(id));
                Flow::Pause
            }
            Err(_) => Flow::Reply(Reply::new(Denial::Other(418, "teapot"), b"down")),
        }
    }

    fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let own = request.waiting.as_ref().and_then(|waiting| waiting.downcast_ref::<CalloutId>());
        match event {
            Event::Ended(id, Outcome::Answer(answer)) if Some(&id) == own => {
                let value = FieldValue::new(answer.body).unwrap();
                host.edit(Section::Request, Edit::Set(&self.answer, value));
                if answer.status == 200 {
                    Flow::Continue
                } else {
                    Flow::Reply(Reply::new(Denial::Other(418, "teapot"), b"no"))
                }
            }
            _ => Flow::Pause,
        }
    }

    fn on_gone<H: Host>(&self, waiting: Waiting, _: &H, _: Home) {
        assert!(waiting.is::<CalloutId>());
        TOLD.with_borrow_mut(|told| told.push("gone"));
    }

    fn on_errand<H: Host>(&self, errand: Errand, _: Outcome<'_>, host: &H, _: Home) {
        assert_eq!(errand.state.downcast_ref(), Some(&"an errand"));
        assert_eq!(host.fields(Section::Request).count(), 0);
        TOLD.with_borrow_mut(|told| told.push("errand"));
    }
}

const CALLOUT: Callout<'static> =
    Callout { cluster: "auth", fields: &[(b":method", b"GET")], body: b"", timeout_ms: 1000 };

const GRANTED: Outcome<'static> =
    Outcome::Answer(CalloutAnswer { status: 200, fields: &[], body: b"granted" });
const REFUSED: Outcome<'static> =
    Outcome::Answer(CalloutAnswer { status: 403, fields: &[], body: b"refused" });

/// One request and what it meets.
struct Meeting {
    policy: Policy<Asking>,
    host: MemoryHost,
    stream: Stream,
    scratch: Scratch,
}

impl Meeting {
    fn new(config: &str, path: &str) -> Self {
        let policy = Policy::load(config.as_bytes(), HashKey::new([0; 16])).unwrap();
        let lines = [(":method", "GET"), (":path", path), (":authority", "a"), ("x-step", "0")];
        let lines =
            lines.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        let mut host = MemoryHost::new(lines.to_vec());
        host.world = Rc::new(World::of(&policy));
        Self { policy, host, stream: Stream::default(), scratch: Scratch::default() }
    }

    fn request(&mut self) -> Answer<'_> {
        self.policy.on_request(&mut self.stream, &mut self.host, &mut self.scratch)
    }

    fn event(&mut self, event: Event<'_>) -> Answer<'_> {
        self.policy.on_event(&mut self.stream, event, &mut self.host, &mut self.scratch)
    }

    fn field(&self, name: &str) -> Vec<String> {
        let name = FieldName::parse(name).unwrap();
        let values = self.host.values(Section::Request, &name);
        values.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
    }
}

const AROUND: &str = r#"{"filters": [
    {"headers": {"name": "before", "request": [{"append": {"name": "x-step", "value": "before"}}]}},
    {"ask": {"when": {"path": {"prefix": "/asked"}}}},
    {"headers": {"name": "after", "when": {"path": {"prefix": "/asked"}},
        "request": [{"append": {"name": "x-step", "value": "after"}}],
        "response": [{"set": {"name": "x-all", "value": "responses"}}]}}
]}"#;

#[test]
fn filters_behind_it_run_when_it_goes_on() {
    let mut meeting = Meeting::new(AROUND, "/asked/for");
    assert!(matches!(meeting.request(), Answer::Wait));
    assert!(meeting.stream.is_waiting());
    assert_eq!(meeting.field("x-step"), ["0", "before"]);
    assert_eq!(meeting.host.reroutes, 0, "nothing is routed yet");

    let ended = Event::Ended(CalloutId(1), GRANTED);
    assert!(matches!(meeting.event(ended), Answer::Continue));
    assert!(!meeting.stream.is_waiting());
    assert_eq!(meeting.field("x-step"), ["0", "before", "after"]);
    assert_eq!(meeting.field("x-answer"), ["granted"]);
    assert_eq!(meeting.host.reroutes, 1);

    meeting.host.response.push((b":status".to_vec(), b"200".to_vec()));
    let (stream, host, scratch) = (&mut meeting.stream, &mut meeting.host, &mut meeting.scratch);
    let _ = meeting.policy.on_response(stream, host, scratch, false);
    assert!(meeting.host.response.contains(&(b"x-all".to_vec(), b"responses".to_vec())));
}

#[test]
fn a_later_condition_judges_the_request_as_it_arrived() {
    let mut meeting = Meeting::new(AROUND, "/asked");
    assert!(matches!(meeting.request(), Answer::Wait));
    // Another stream of the worker comes between.
    let mut other = MemoryHost::new(vec![(b":path".to_vec(), b"/other".to_vec())]);
    let answer =
        meeting.policy.on_request(&mut Stream::default(), &mut other, &mut meeting.scratch);
    assert!(matches!(answer, Answer::Continue));
    let ended = Event::Ended(CalloutId(1), GRANTED);
    assert!(matches!(meeting.event(ended), Answer::Continue));
    assert_eq!(meeting.field("x-step"), ["0", "before", "after"]);
}

#[test]
fn its_reply_goes_through_the_response_steps() {
    let mut meeting = Meeting::new(AROUND, "/asked");
    assert!(matches!(meeting.request(), Answer::Wait));
    let Answer::Reply(reply) = meeting.event(Event::Ended(CalloutId(1), REFUSED)) else {
        panic!("let through");
    };
    assert_eq!((reply.status, &*reply.details, &*reply.body), (418, "pintle_teapot", &b"no"[..]));
    assert!(reply.fields().any(|field| field == (b"x-all", b"responses")));
    assert_eq!(meeting.field("x-step"), ["0", "before"], "nothing behind it saw the request");
}

#[test]
fn what_is_not_for_it_changes_nothing() {
    let mut meeting = Meeting::new(AROUND, "/asked");
    assert!(matches!(meeting.request(), Answer::Wait));
    for event in [Event::Ended(CalloutId(7), GRANTED), Event::Woken] {
        assert!(matches!(meeting.event(event), Answer::Wait));
        assert!(meeting.stream.is_waiting());
    }
    let ended = Event::Ended(CalloutId(1), GRANTED);
    assert!(matches!(meeting.event(ended), Answer::Continue));
    assert!(matches!(meeting.event(ended), Answer::Wait), "there is nothing left to decide");
    assert_eq!(meeting.field("x-step"), ["0", "before", "after"]);
}

#[test]
fn requests_that_are_not_for_it_do_not_wait() {
    let mut meeting = Meeting::new(AROUND, "/");
    assert!(matches!(meeting.request(), Answer::Continue));
    assert!(meeting.host.world.callouts.borrow().is_empty());
}

#[test]
fn under_observe_nothing_waits() {
    let config = AROUND.replace(r#""ask": {"#, r#""ask": {"mode": "observe", "#);
    let mut meeting = Meeting::new(&config, "/asked");
    assert!(matches!(meeting.request(), Answer::Continue));
    assert_eq!(meeting.field("x-step"), ["0", "before", "after"]);
    assert_eq!(meeting.host.notes.get("observed.ask").map(Vec::as_slice), Some(&b"paused"[..]));
    let ended = Event::Ended(CalloutId(1), REFUSED);
    assert!(matches!(meeting.event(ended), Answer::Wait), "what it started is of no concern");
}

#[test]
fn a_callout_that_cannot_start_is_no_way_through() {
    let mut meeting = Meeting::new(AROUND, "/asked");
    meeting.host.world.down.set(Some(DispatchError::NoCluster));
    assert!(matches!(meeting.request(), Answer::Reply(reply) if reply.status == 418));
}

#[test]
fn the_end_of_a_callout_whose_request_has_gone_is_for_the_filter_alone() {
    let config = r#"{"filters": [{"ask": {}}, {"require_header": {"header": "x-absent"}}]}"#;
    let mut meeting = Meeting::new(config, "/");
    assert!(matches!(meeting.request(), Answer::Wait));
    let Meeting { policy, stream, scratch, .. } = &mut meeting;
    let mut nobody = MemoryHost::default();
    policy.on_late_event(stream, Event::Ended(CalloutId(7), GRANTED), &mut nobody, scratch);
    assert!(stream.is_waiting(), "that was another callout");
    policy.on_late_event(stream, Event::Ended(CalloutId(1), GRANTED), &mut nobody, scratch);
    assert!(!stream.is_waiting());
    assert!((0..policy.metrics().len()).all(|place| nobody.count(place) == 0), "none was judged");
}

#[test]
fn it_is_told_of_requests_that_go() {
    let mut meeting = Meeting::new(r#"{"filters": [{"ask": {}}]}"#, "/");
    assert!(matches!(meeting.request(), Answer::Wait));
    meeting.policy.on_gone(&mut meeting.stream, &meeting.host);
    assert!(!meeting.stream.is_waiting());
    meeting.policy.on_gone(&mut meeting.stream, &meeting.host);
    let ended = Event::Ended(CalloutId(1), GRANTED);
    assert!(matches!(meeting.event(ended), Answer::Wait));
    assert_eq!(TOLD.take(), ["gone"]);
}

#[test]
fn an_errand_comes_back_to_the_filter_that_sent_it() {
    let config = r#"{"filters": [{"ask": {"name": "first"}}, {"ask": {}}]}"#;
    let mut meeting = Meeting::new(config, "/");
    meeting.host.request.push((b"x-answer".to_vec(), b"errand".to_vec()));
    assert!(matches!(meeting.request(), Answer::Continue));
    let callouts = std::mem::take(&mut *meeting.host.world.callouts.borrow_mut());
    assert_eq!(callouts.len(), 2);
    for callout in callouts.into_values() {
        let Sender::Errand(errand) = callout.sender else { panic!("sent by a stream") };
        meeting.policy.on_errand(errand, Outcome::Failed, &MemoryHost::default());
    }
    assert_eq!(TOLD.take(), ["errand", "errand"]);
}
