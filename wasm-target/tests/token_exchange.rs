//! `token_exchange` in VMs that know of each other what shared data tells them.

use std::sync::mpsc;
use std::thread;

use pintle_core::NoFurther;
use pintle_wasm::abi::fakes::{self, Answer, End, SharedData};
use pintle_wasm::vm::Vm;

const CONFIG: &str = r#"{"filters": [{"token_exchange": {
    "cluster": "auth", "authority": "auth.example", "path": "/token", "cache": {"ttl": "60s"}}}]}"#;
const NOW: u64 = 1_767_225_600_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// A VM of its own host, as on each worker of a proxy.
struct Worker {
    vm: Vm<NoFurther>,
    last: u32,
}

impl Worker {
    fn new(shared: &SharedData) -> Self {
        fakes::reset();
        fakes::with(|host| {
            (host.shared_data, host.now_nanoseconds) = (shared.clone(), NOW);
        });
        let worker = Self { vm: Vm::default(), last: 100 };
        worker.configure(1, CONFIG);
        worker
    }

    fn configure(&self, root: u32, config: &str) {
        fakes::with(|host| host.create_root(root).tick_milliseconds);
        let loaded = fakes::on_configure(root, config.as_bytes(), || {
            self.vm.on_configure(root, config.len())
        });
        assert!(loaded, "{:?}", fakes::with(|host| host.log_lines()));
    }

    fn send(&mut self, root: u32, credential: &str) -> (u32, End) {
        self.last += 1;
        let id = self.last;
        fakes::with(|host| {
            let stream = host.create_stream(id, root);
            let fields = [(":method", "GET"), (":path", "/"), (":authority", "a")];
            for (name, value) in fields.iter().chain(&[("authorization", credential)]) {
                stream.request.add(name.as_bytes(), value.as_bytes());
            }
        });
        (id, fakes::on_request_headers(id, || self.vm.on_request_headers(id)))
    }

    fn ends(&self, status: u16, body: &[u8]) {
        let token = fakes::with(|host| host.tokens()[0]);
        let answer = Some(Answer::new(status, &[], body));
        fakes::on_http_call_response(token, answer, |root, token, fields, body| {
            self.vm.on_http_call_response(root, token, fields, body);
        });
    }
}

fn token(id: u32) -> Option<String> {
    fakes::with(|host| {
        let mut values = host.streams[&id].request.values(b"x-auth-jwt");
        values.next().map(|value| String::from_utf8_lossy(value).into_owned())
    })
}

fn callouts() -> usize {
    fakes::with(|host| host.count("proxy_http_call"))
}

fn metric(name: &str) -> i64 {
    let name = format!("pintle_filter=.=token_exchange;.;pintle_{name}");
    fakes::with(|host| host.metrics.value(name.as_bytes())).unwrap()
}

#[test]
fn one_worker_asks_for_all() {
    let shared = SharedData::default();
    let (tell, told) = mpsc::channel();
    let first = thread::spawn({
        let shared = shared.clone();
        move || {
            let mut worker = Worker::new(&shared);
            let (id, end) = worker.send(1, "Bearer alice");
            assert_eq!(end, End::Pause);
            worker.ends(200, b"the-token\r\n");
            assert_eq!(
                (fakes::end(id), token(id)),
                (Some(End::Continue), Some("the-token".into()))
            );
            tell.send(()).unwrap();
        }
    });
    told.recv().unwrap();
    first.join().unwrap();
    let second = thread::spawn(move || {
        let mut worker = Worker::new(&shared);
        let (id, end) = worker.send(1, "Bearer alice");
        assert_eq!((end, token(id), callouts()), (End::Continue, Some("the-token".into()), 0));
        // Another caller finds nothing there.
        let (_, end) = worker.send(1, "Bearer bob");
        assert_eq!((end, callouts()), (End::Pause, 1));
        for (key, value) in shared.values() {
            assert!(key.starts_with(b"pintle.slot."));
            for secret in [&b"alice"[..], b"the-token"] {
                assert!(!value.windows(secret.len()).any(|part| part == secret));
            }
        }
        assert_eq!(shared.values().len(), 1);
    });
    second.join().unwrap();
}

#[test]
fn an_answer_that_another_worker_left_ends_with_its_life() {
    let shared = SharedData::default();
    let mut worker = Worker::new(&shared);
    worker.send(1, "Bearer alice");
    worker.ends(200, b"old");
    let mut other = Worker::new(&shared);
    fakes::with(|host| host.now_nanoseconds = NOW + 61 * SECOND);
    let (id, end) = other.send(1, "Bearer alice");
    assert_eq!((end, callouts()), (End::Pause, 1));
    other.ends(200, b"new");
    assert_eq!(token(id).as_deref(), Some("new"));
}

#[test]
fn what_cannot_be_opened_is_asked_for() {
    let shared = SharedData::default();
    let mut worker = Worker::new(&shared);
    worker.send(1, "Bearer alice");
    worker.ends(200, b"token");
    for (key, value) in shared.values() {
        let mut forged = value;
        *forged.last_mut().unwrap() ^= 1;
        shared.put(&key, &forged);
    }
    let mut other = Worker::new(&shared);
    let (id, end) = other.send(1, "Bearer alice");
    assert_eq!((end, token(id), callouts()), (End::Pause, None, 1));
}

#[test]
fn a_configuration_update_keeps_the_answers_and_those_that_wait() {
    let mut worker = Worker::new(&SharedData::default());
    let (leader, _) = worker.send(1, "Bearer alice");
    worker.configure(2, &CONFIG.replace("\"filters\"", "\"filters\" "));
    let (waiter, end) = worker.send(2, "Bearer alice");
    assert_eq!((end, callouts()), (End::Pause, 1), "the same question, the same flight");
    fakes::with(|host| host.delete_context(leader));
    worker.ends(200, b"token");
    assert_eq!(fakes::end(waiter), Some(End::Continue));
    assert_eq!(token(waiter).as_deref(), Some("token"));
    fakes::with(|host| host.delete_context(1));
    fakes::within(2, || worker.vm.on_tick(2));
    let (id, end) = worker.send(2, "Bearer alice");
    assert_eq!((end, token(id).as_deref()), (End::Continue, Some("token")));
    fakes::within(2, || worker.vm.on_tick(2));
    assert_eq!((metric("entries"), metric("waiting"), metric("hits")), (1, 0, 1));
}

#[test]
#[cfg_attr(miri, ignore = "many streams, and none differs in its unsafe code")]
fn many_wait_and_each_goes_on_once() {
    let mut worker = Worker::new(&SharedData::default());
    let ids: Vec<u32> = (0..200).map(|_| worker.send(1, "Bearer alice").0).collect();
    assert_eq!(callouts(), 1);
    for gone in ids.iter().step_by(3) {
        fakes::with(|host| host.delete_context(*gone));
    }
    fakes::within(1, || worker.vm.on_tick(1));
    worker.ends(200, b"token");
    for id in ids.iter().enumerate().filter(|(place, _)| place % 3 != 0).map(|(_, id)| id) {
        let continues = fakes::with(|host| host.streams[id].continues);
        assert_eq!((continues, token(*id).as_deref()), (1, Some("token")));
    }
    fakes::within(1, || worker.vm.on_tick(1));
    assert_eq!((callouts(), metric("waiting")), (1, 0));
}
