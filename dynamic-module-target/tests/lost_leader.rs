//! A filter that panics with a place in a store in its hands: nobody waits for it for ever.

use envoy_proxy_dynamic_modules_rust_sdk::HeadersStatus;
use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    FakeAnswer, FakeEnvoy, FakeRequest, FakeStream, take_logs,
};
use pintle_core::config::{HashKey, Load, Pointer};
use pintle_core::store::{Asked, Collected, Key, Limits, Shard, StoreSpec, Ticket, Verdict};
use pintle_core::{
    Callout, Denial, Event, Filter, Flow, Home, Host, Phases, Reply, Request, Waiting,
};
use pintle_dynamic_module::Config;

pintle_core::filters! {
    /// The filter of these tests.
    enum Mine { Clumsy }
}

/// Asks once for all, and panics over the end of the callout.
struct Clumsy {
    spec: StoreSpec,
    in_shard: bool,
}

#[derive(serde::Deserialize)]
struct ClumsyFields {
    fingerprint: u8,
    in_shard: bool,
}

fn key() -> Key {
    Key::of(HashKey::new([1; 16]), [&b"the question"[..]])
}

impl Filter for Clumsy {
    const KIND: &'static str = "clumsy";
    type Fields = ClumsyFields;

    fn compile(fields: ClumsyFields, _: &Pointer<'_>, _: &mut Load) -> Option<Self> {
        let limits = Limits { entries: 10, bytes: 10_000, waiters: 10 };
        let spec =
            StoreSpec { filter: String::new(), fingerprint: [fields.fingerprint; 32], limits };
        Some(Self { spec, in_shard: fields.in_shard })
    }

    fn phases(&self) -> Phases {
        Phases::Request
    }

    fn store(&self) -> Option<&StoreSpec> {
        Some(&self.spec)
    }

    fn on_request<'s, H: Host>(&'s self, host: &mut H, request: &mut Request<'_>) -> Flow<'s> {
        let now = host.now();
        let (store, hash) = (request.home.store, key().hash());
        let ask =
            |shard: &mut Shard<H::Waker>| shard.ask(key(), now, now.after(60_000), || host.waker());
        let ticket = match host.shared(store, hash, ask) {
            Asked::Wait(ticket) => ticket,
            Asked::Lead(ticket) => {
                let fields: &[(&[u8], &[u8])] =
                    &[(b":method", b"GET"), (b":path", b"/"), (b":authority", b"auth")];
                let callout = Callout { cluster: "auth", fields, body: b"", timeout_ms: 60_000 };
                host.dispatch(&callout).expect("a callout");
                ticket
            }
            _ => return Flow::Continue,
        };
        *request.waiting = Some(Box::new(ticket));
        Flow::Pause
    }

    fn on_event<'s, H: Host>(
        &'s self,
        event: Event<'_>,
        host: &mut H,
        request: &mut Request<'_>,
    ) -> Flow<'s> {
        let ticket = request.waiting.take().expect("what was kept").downcast::<Ticket>();
        let (ticket, now) = (*ticket.expect("a ticket"), host.now());
        let (store, hash) = (request.home.store, key().hash());
        match event {
            Event::Woken => {
                let collect =
                    |shard: &mut Shard<H::Waker>| shard.collect(ticket, now, || host.waker());
                match host.shared(store, hash, collect) {
                    Collected::Landed { .. } => Flow::Continue,
                    // Who leads answers for itself, so that all can be told apart.
                    Collected::Lead(ticket, left) => {
                        assert!(left > 0, "with no time left");
                        let unusable = Verdict::Unusable;
                        let land =
                            |shard: &mut Shard<H::Waker>| shard.land(ticket, unusable, None, now);
                        host.shared(store, hash, land).wake.into_iter().for_each(|w| host.wake(w));
                        Flow::Reply(Reply::new(Denial::WrongCredentials, b"led"))
                    }
                    Collected::Wait(ticket) => {
                        *request.waiting = Some(Box::new(ticket));
                        Flow::Pause
                    }
                    Collected::Late(_) => panic!("with time left"),
                }
            }
            Event::Ended(..) if self.in_shard => {
                host.shared(store, hash, |_| panic!("with a shard"));
                Flow::Continue
            }
            Event::Ended(..) => {
                let landed = host
                    .shared(store, hash, |shard| shard.land(ticket, Verdict::Unusable, None, now));
                assert!(landed.wake.is_empty(), "with those to wake");
                panic!("with nobody to wake");
            }
        }
    }

    fn on_gone<H: Host>(&self, _: Waiting, _: &H, _: Home) {}
}

fn waiting(envoy: &FakeEnvoy<Config<Mine>>) -> FakeStream<'_, Config<Mine>> {
    let stream = envoy.stream(FakeRequest::new([(":method", "GET"), (":path", "/")]));
    assert_eq!(stream.request_headers(false), HeadersStatus::StopAllIterationAndWatermark);
    stream
}

#[test]
fn who_waits_for_a_leader_that_panics_is_woken() {
    for (fingerprint, in_shard) in [(1, false), (2, true)] {
        let config = format!(
            r#"{{"filters": [{{"clumsy": {{"fingerprint": {fingerprint}, "in_shard": {in_shard}}}}}]}}"#
        );
        let envoy = FakeEnvoy::<Config<Mine>>::load("pintle", config.as_bytes()).unwrap();
        for _ in 0..2 {
            let (leader, waiters) = (waiting(&envoy), [waiting(&envoy), waiting(&envoy)]);
            assert!(leader.answer(1, FakeAnswer::of("200", &[])));
            let reply = leader.reply().expect("an answer");
            assert_eq!((reply.status, &*reply.details), (500, "pintle_internal_error"));
            assert_eq!((leader.replies(), leader.resumed()), (1, 0));
            // What has landed is there still; else the first one leads, and the other gets its answer.
            for (waiter, leads) in waiters.iter().zip([in_shard, false]) {
                assert!(waiter.is_held());
                assert!(waiter.run_scheduled() >= 1);
                assert_eq!(waiter.replies(), usize::from(leads));
                assert_eq!((waiter.resumed(), waiter.schedulers()), (usize::from(!leads), 0));
            }
            assert_eq!(take_logs().len(), 1);
            // And the next one leads again.
        }
    }
}
