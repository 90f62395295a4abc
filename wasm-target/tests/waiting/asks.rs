//! A filter that asks a service, once for all that come meanwhile, as simple as it can be.

use std::any::Any;
use std::cell::RefCell;

use pintle_core::config::{Load, Pointer};
use pintle_core::{
    Callout, CalloutId, Denial, DispatchError, Edit, Errand, Event, FieldName, FieldValue, Filter,
    Flow, Home, Host, Outcome, Phases, Reply, Request, Response, Section, Waiting,
    metrics::{Meter, MetricKind},
};

pintle_core::filters! {
    /// The filters of these tests.
    #[derive(Debug)]
    pub(crate) enum Filters { Asks }
}

/// Asks for a token with the value of `x-ask`, and writes it to `x-token`; what is refused it
/// answers. Requests without `x-ask` pass. With `x-errand` it asks for nobody, and with `x-found` it
/// has the answer for all that wait.
#[derive(Debug)]
pub(crate) struct Asks {
    cluster: String,
    echo: FieldName,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields {
    cluster: String,
}

thread_local! {
    static FLIGHT: RefCell<Flight> = RefCell::default();
    /// How errands ended.
    static ERRANDS: RefCell<Vec<String>> = RefCell::default();
}

/// The one callout of all streams of a VM.
#[derive(Default)]
struct Flight {
    led: bool,
    wakers: Vec<Box<dyn Any>>,
    answer: Option<Result<Vec<u8>, u16>>,
}

enum Role {
    Leads(CalloutId),
    Waits,
}

pub(crate) const NO_SERVICE: Denial = Denial::Other(503, "no_service");
const REFUSED: Denial = Denial::Other(403, "refused");

/// What is known of errands.
pub(crate) fn errands() -> Vec<String> {
    ERRANDS.with(RefCell::take)
}

impl Filter for Asks {
    const KIND: &'static str = "asks";
    const DENIALS: &'static [Denial] = &[NO_SERVICE, REFUSED];
    const METERS: &'static [Meter] = &[
        Meter { name: "callouts", label: Some(("result", "granted")), kind: MetricKind::Counter },
        Meter { name: "waiting", label: None, kind: MetricKind::Gauge },
        Meter { name: "callout_ms", label: None, kind: MetricKind::Histogram },
    ];
    type Fields = Fields;

    fn compile(fields: Fields, _at: &Pointer<'_>, _load: &mut Load) -> Option<Self> {
        Some(Self { cluster: fields.cluster, echo: FieldName::parse("x-echo")? })
    }

    fn phases(&self) -> Phases {
        Phases::Both
    }

    fn kept_fields(&self) -> &[FieldName] {
        std::slice::from_ref(&self.echo)
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let value =
            |name: &FieldName| host.values(Section::Request, name).next().map(<[u8]>::to_vec);
        let [ask, errand, found] =
            ["x-ask", "x-errand", "x-found"].map(|name| FieldName::parse(name).unwrap());
        let (asked, sent_out, found) = (value(&ask), value(&errand), value(&found));
        if let Some(token) = found {
            land(host, Ok(token));
            return finish(host);
        }
        if let Some(what) = sent_out {
            let sent = self.call(&what, |callout| {
                host.send_out(callout, Errand::new(String::from_utf8(what.clone()).unwrap()))
            });
            return if sent.is_ok() { Flow::Continue } else { refuse(NO_SERVICE) };
        }
        match asked {
            Some(what) => self.ask(&what, host, request),
            None => Flow::Continue,
        }
    }

    fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let role = request.waiting.as_ref().and_then(|waiting| waiting.downcast_ref::<Role>());
        match (event, role) {
            (Event::Ended(id, outcome), Some(Role::Leads(own))) if id == *own => {
                host.add(request.home.metric(0), 1);
                host.record(request.home.metric(2), 7);
                land(
                    host,
                    match outcome {
                        Outcome::Answer(answer) if answer.status == 200 => Ok(answer.body.to_vec()),
                        Outcome::Answer(answer) => Err(answer.status),
                        Outcome::Failed => Err(0),
                    },
                );
                finish(host)
            }
            (Event::Woken, Some(Role::Waits)) => {
                host.shift(request.home.metric(1), -1);
                if FLIGHT.with_borrow(|flight| flight.answer.is_some()) {
                    finish(host)
                } else {
                    self.ask(b"again", host, request)
                }
            }
            _ => Flow::Pause,
        }
    }

    fn on_gone<H: Host>(&self, waiting: Waiting, host: &H, home: Home) {
        match waiting.downcast_ref::<Role>() {
            Some(Role::Leads(_)) => {
                let next = FLIGHT.with_borrow_mut(|flight| {
                    flight.led = false;
                    (!flight.wakers.is_empty()).then(|| flight.wakers.remove(0))
                });
                wake(host, next);
            }
            // Not taken from the list: a wake for it comes to nothing, or to the next.
            _ => host.shift(home.metric(1), -1),
        }
    }

    fn on_errand<H: Host>(&self, errand: Errand, outcome: Outcome<'_>, host: &H, home: Home) {
        let what = errand.state.downcast_ref::<String>().unwrap();
        host.add(home.metric(0), 1);
        ERRANDS.with_borrow_mut(|errands| errands.push(format!("{what}: {outcome:?}")));
    }

    fn on_response<H: Host>(&self, host: &mut H, response: &mut Response<'_>) {
        let kept = response.kept.values(&self.echo).next();
        if let Some(value) = kept.and_then(FieldValue::new) {
            host.edit(Section::Response, Edit::Set(&self.echo, value));
        }
    }
}

impl Asks {
    fn ask<'s, H: Host>(
        &'s self,
        what: &[u8],
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let _ = host.now();
        let waits = FLIGHT.with_borrow_mut(|flight| {
            if flight.led {
                flight.wakers.push(Box::new(host.waker()));
            }
            flight.led
        });
        if waits {
            host.shift(request.home.metric(1), 1);
            *request.waiting = Some(Box::new(Role::Waits));
            return Flow::Pause;
        }
        match self.call(what, |callout| host.dispatch(callout)) {
            Ok(id) => {
                FLIGHT.with_borrow_mut(|flight| (flight.led, flight.answer) = (true, None));
                *request.waiting = Some(Box::new(Role::Leads(id)));
                Flow::Pause
            }
            Err(_) => {
                land(host, Err(0));
                refuse(NO_SERVICE)
            }
        }
    }

    fn call<R>(
        &self,
        what: &[u8],
        send: impl FnOnce(&Callout<'_>) -> Result<R, DispatchError>,
    ) -> Result<R, DispatchError> {
        let fields: &[(&[u8], &[u8])] =
            &[(b":method", b"GET"), (b":path", b"/token"), (b":authority", b"a"), (b"x-ask", what)];
        send(&Callout { cluster: &self.cluster, fields, body: b"content", timeout_ms: 250 })
    }
}

/// The callout has ended: all that wait are told.
fn land<H: Host>(host: &H, answer: Result<Vec<u8>, u16>) {
    let wakers = FLIGHT.with_borrow_mut(|flight| {
        (flight.led, flight.answer) = (false, Some(answer));
        std::mem::take(&mut flight.wakers)
    });
    wake(host, wakers);
}

fn wake<H: Host>(host: &H, wakers: impl IntoIterator<Item = Box<dyn Any>>) {
    for waker in wakers {
        if let Ok(waker) = waker.downcast::<H::Waker>() {
            host.wake(*waker);
        }
    }
}

fn finish<'s, H: Host>(host: &mut H) -> Flow<'s> {
    let answer = FLIGHT.with_borrow(|flight| flight.answer.clone());
    match answer {
        Some(Ok(token)) => {
            let name = FieldName::parse("x-token").unwrap();
            let Some(token) = FieldValue::new(&token) else { return refuse(NO_SERVICE) };
            host.edit(Section::Request, Edit::Set(&name, token));
            Flow::Continue
        }
        Some(Err(0)) | None => refuse(NO_SERVICE),
        Some(Err(_)) => refuse(REFUSED),
    }
}

fn refuse<'s>(denial: Denial) -> Flow<'s> {
    Flow::Reply(Reply::new(denial, b""))
}
