//! An ordinary request takes no heap memory, whatever the filters.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};

use allocation_counter::measure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pintle_core::config::HashKey;
use pintle_core::store::{Shard, StoreId};
use pintle_core::{
    Answer, Attribute, Callout, CalloutAnswer, CalloutId, DispatchError, Edit, Errand, Event, Host,
    Level, Metric, NoFurther, Outcome, Policy, Scratch, Section, Stream, UnixTime,
};

/// How often a request is repeated: what grows with the number of requests shows too.
const REQUESTS: u64 = 1_000;

type Lines<'a> = &'a [(&'a str, &'a str)];

const ORDINARY: Lines<'static> = &[
    (":method", "GET"),
    (":path", "/api/v1/users?page=2"),
    (":authority", "api.example.com:8443"),
    (":scheme", "https"),
    ("user-agent", "curl/8.5.0"),
    ("accept", "*/*"),
    ("x-request-id", "4e1c1ad5-0e4c-4d3c-9a43-6b06a9a5a9f1"),
    ("allow", "true"),
    ("cookie", "a=b"),
    ("cookie", "c=d"),
];

const RESPONSE: Lines<'static> = &[
    (":status", "200"),
    ("content-type", "text/plain"),
    ("set-cookie", "a=b"),
    ("via", "1.1 a"),
    ("via", "1.1 b"),
];

#[test]
fn log_headers_with_its_level_off() {
    let config = r#"{"filters": [{"log_headers": {"request": ["*"], "response": ["*"], "level": "debug"}}]}"#;
    let host = Run::new(config).takes_none(ORDINARY);
    assert_eq!(host.log.borrow().len, 0);
}

#[test]
fn log_headers_with_its_level_on() {
    let host = Run::new(r#"{"filters": [{"log_headers": {"request": ["*"], "response": ["*"]}}]}"#)
        .takes_none(ORDINARY);
    assert!(host.log.borrow().text().contains("cookie=<3 bytes>"), "{}", host.log.borrow().text());
    Run::new(r#"{"filters": [{"log_headers": {"request": ["user-agent", ":path"], "redact": ["x-*"]}}]}"#)
        .takes_none(ORDINARY);
}

#[test]
fn require_header() {
    for condition in [
        r#""header": "allow""#,
        r#""header": "allow", "exact": "true""#,
        r#""header": "cookie", "regex": "^[a-z]=.$""#,
        r#""header": "user-agent", "prefix": "curl/""#,
    ] {
        Run::new(&format!(r#"{{"filters": [{{"require_header": {{{condition}}}}}]}}"#))
            .takes_none(ORDINARY);
    }
}

#[test]
fn basic_auth_with_one_rule() {
    let config =
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["alice:wonderland"]}]}}]}"#;
    Run::new(config).takes_none(&authorized("alice:wonderland"));
}

#[test]
fn basic_auth_with_a_thousand_rules() {
    let rule = |n| {
        format!(r#"{{"when": {{"path": {{"prefix": "/p{n}/"}}}}, "credentials": ["u{n}:pw"]}}"#)
    };
    let rules = list((0..1_000).map(rule));
    let run = Run::new(&format!(r#"{{"filters": [{{"basic_auth": {{"rules": [{rules}]}}}}]}}"#));
    run.takes_none(ORDINARY);
    let mut request = authorized("u700:pw");
    request[1].1 = "/p700/x";
    run.takes_none(&request);
}

#[test]
fn basic_auth_with_ten_thousand_credentials() {
    let credentials = list((0..10_000).map(|n| format!(r#""u{n}:pw{n}""#)));
    Run::new(&format!(
        r#"{{"filters": [{{"basic_auth": {{"rules": [{{"credentials": [{credentials}]}}]}}}}]}}"#
    ))
    .takes_none(&authorized("u9999:pw9999"));
}

#[test]
fn basic_auth_with_hashes_and_all_it_tells_the_upstream() {
    // The SHA-1 of `test`.
    let config = r#"{"filters": [{"basic_auth": {
        "rules": [{"credentials": ["ok:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="]}],
        "forward_user": "x-user",
        "hide_credentials": true
    }}]}"#;
    let mut request = authorized("ok:test");
    request.push(("x-user", "mallory"));
    let host = Run::new(config).takes_none(&request);
    assert_eq!(host.sent(Section::Request, "x-user"), ["ok"]);
    assert_eq!(host.sent(Section::Request, "authorization"), [""; 0]);
}

#[test]
fn headers() {
    let config = r#"{"filters": [{"headers": {
        "request": [
            {"set": {"name": "hello", "value": "world"}},
            {"set": {"name": "x-agent", "value": "%REQ(user-agent)% at %REQ(:authority)%"}},
            {"append": {"name": "accept", "value": "text/html"}},
            {"add_if_absent": {"name": "x-new", "value": "100%%"}},
            {"add_if_absent": {"name": "accept", "value": "never"}},
            {"remove": {"name": "allow"}},
            {"rename": {"name": "cookie", "to": "x-cookie"}}
        ],
        "response": [
            {"set": {"name": "x-path", "value": "%REQ(:path)% gave %RESP(:status)%"}},
            {"append": {"name": "x-ids", "value": "%REQ(x-request-id)%"}},
            {"rename": {"name": "via", "to": "x-via"}},
            {"set": {"name": "content-type", "value": "%REQ(x-absent)%"}},
            {"remove": {"name": "set-cookie"}}
        ]
    }}]}"#;
    let host = Run::new(config).takes_none(ORDINARY);
    assert_eq!(host.sent(Section::Request, "x-cookie"), ["a=b", "c=d"]);
    assert_eq!(host.sent(Section::Request, "x-agent"), ["curl/8.5.0 at api.example.com:8443"]);
    assert_eq!(host.sent(Section::Response, "x-path"), ["/api/v1/users?page=2 gave 200"]);
    assert_eq!(host.sent(Section::Response, "x-via"), ["1.1 a", "1.1 b"]);
    assert_eq!(host.sent(Section::Response, "content-type"), [""; 0]);
}

/// The first request asks the service; what is measured are those that find its answer.
#[test]
fn token_exchange_with_a_warm_cache() {
    for more in [
        "",
        r#", "header": "authorization""#,
        r#", "request_headers": ["authorization", "cookie", "x-request-id"]"#,
        r#", "grant": {"token_exchange": {"client": {"id": "a", "secret": "b"}}}"#,
    ] {
        let config = format!(
            r#"{{"filters": [{{"token_exchange": {{
                "cluster": "auth", "authority": "auth.example", "path": "/token",
                "cache": {{"ttl": "1m"}}{more}
            }}}}]}}"#
        );
        let answer = match more.contains("grant") {
            false => (200, "token-of-the-service"),
            true => (
                200,
                r#"{"access_token": "token-of-the-service", "token_type": "Bearer", "expires_in": 3600,
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}"#,
            ),
        };
        let mut request = ORDINARY.to_vec();
        request.push(("authorization", CREDENTIAL));
        let host = Run { answer, ..Run::new(&config) }.takes_none(&request);
        assert_eq!(host.asked.get(), 1);
        let (name, value) = match more.contains("header\"") {
            false => ("x-auth-jwt", "token-of-the-service"),
            true => ("authorization", "Bearer token-of-the-service"),
        };
        assert_eq!(host.sent(Section::Request, name), [value]);
    }
}

#[test]
fn token_exchange_with_nothing_to_do() {
    let config = format!(
        r#"{{"filters": [{{"token_exchange": {{
            "cluster": "auth", "authority": "auth.example", "path": "/token", {WHEN}
        }}}}]}}"#
    );
    let host = Run::new(&config).takes_none(ORDINARY);
    assert_eq!(host.asked.get(), 0);
}

/// A caller whom the service has refused a moment ago.
#[test]
fn token_exchange_with_a_refusal_at_hand() {
    let config = r#"{"filters": [{"token_exchange": {
        "cluster": "auth", "authority": "auth.example", "path": "/token", "cache": {"ttl": "1m"}
    }}]}"#;
    let run = Run { answer: (401, "no"), ..Run::new(config) };
    let mut request = ORDINARY.to_vec();
    request.push(("authorization", CREDENTIAL));
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let mut host = SliceHost::new(&request);
    host.stores = stores(&run.policy);
    let mut deny = || {
        host.request.fill(&request);
        stream.clear();
        match run.request(&mut stream, &mut host, &mut scratch) {
            Answer::Reply(reply) => assert_eq!((reply.status, reply.fields().len()), (401, 2)),
            Answer::Continue | Answer::Wait => panic!("let through"),
        }
    };
    deny();
    deny();
    let info = measure(|| (0..REQUESTS).for_each(|_| deny()));
    // What the service said is copied for each caller; nothing of it stays.
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
    assert!(info.count_total <= REFUSAL_ALLOCATIONS * REQUESTS, "{} of it", info.count_total);
    assert_eq!(host.asked.get(), 1);
}

/// How often a remembered refusal takes memory for a moment: for its fields, and for its content.
const REFUSAL_ALLOCATIONS: u64 = 3;

/// With its scheme 64 bytes.
const CREDENTIAL: &str = "Bearer 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU";

const WHEN: &str = r#""when": {
    "hosts": ["*.example.com", "::1"],
    "methods": ["GET", "POST"],
    "headers": [{"name": "accept", "prefix": "*/"}, {"name": "x-absent", "absent": true}],
    "path": [{"prefix": "/a"}, {"suffix": ".html"}, {"regex": "^/b/[0-9]+"}, {"exact": "/c"}],
    "not": {"path": {"prefix": "/public"}}
}"#;

#[test]
fn conditions() {
    let config = format!(
        r#"{{"filters": [{{"headers": {{"request": [{{"set": {{"name": "applies", "value": "yes"}}}}], {WHEN}}}}}]}}"#
    );
    let run = Run::new(&config);
    for path in [
        "/api/v1?x",
        "/x.html",
        "/b/17",
        "/c",
        "/none/of/them",
        "/%61//../b/../api",
        "/x/../public/%2e%2e//a",
        "/x\\y/../%2e%2e//z%2Fw/..%5C/a.html",
    ] {
        let mut request = ORDINARY.to_vec();
        request[1].1 = path;
        let host = run.takes_none(&request);
        assert_eq!(
            host.sent(Section::Request, "applies").len(),
            usize::from(path != "/none/of/them"),
            "{path}"
        );
    }
}

#[test]
fn all_four_and_one_that_only_observes() {
    let config = format!(
        r#"{{"filters": [
            {{"log_headers": {{"request": ["*"], "response": [":status", "hello"], "level": "warn"}}}},
            {{"basic_auth": {{"rules": [{{"credentials": ["alice:wonderland"], {WHEN}}}], "forward_user": "x-user"}}}},
            {{"require_header": {{"header": "allow", "exact": "true", {WHEN}}}}},
            {{"require_header": {{"header": "x-absent", "mode": "observe"}}}},
            {{"headers": {{
                "request": [{{"set": {{"name": "x-agent", "value": "%REQ(user-agent)%"}}}}],
                "response": [{{"set": {{"name": "hello", "value": "world %REQ(x-request-id)%"}}}}],
                {WHEN}
            }}}}
        ]}}"#
    );
    let mut request = authorized("alice:wonderland");
    request[1].1 = "/x/..//%61pi";
    let host = Run::new(&config).takes_none(&request);
    assert_eq!(host.sent(Section::Request, "x-user"), ["alice"]);
    assert_eq!(
        host.sent(Section::Response, "hello"),
        ["world 4e1c1ad5-0e4c-4d3c-9a43-6b06a9a5a9f1"]
    );
}

#[test]
fn problem_json_and_no_error() {
    Run::new(r#"{"filters": [{"problem_json": {}}]}"#).takes_none(ORDINARY);
}

#[test]
fn a_denied_request() {
    for config in [
        r#"{"filters": [{"basic_auth": {"rules": [{"credentials": ["a:b"]}]}}]}"#,
        r#"{"filters": [{"require_header": {"header": "absent", "deny": {"body": "no"}}}]}"#,
    ] {
        let run = Run::new(config);
        let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
        let mut host = SliceHost::new(ORDINARY);
        let mut deny = || {
            stream.clear();
            match run.policy.on_request(&mut stream, &mut *host, &mut scratch) {
                Answer::Reply(reply) => assert!(reply.fields().len() > 0),
                Answer::Continue | Answer::Wait => panic!("let through"),
            }
        };
        deny();
        assert_eq!(measure(|| (0..REQUESTS).for_each(|_| deny())).count_total, 0, "{config}");
    }
}

/// A reply that response steps go over may take memory; none of it stays.
#[test]
fn a_denied_request_leaves_nothing_behind() {
    let config = r#"{"filters": [
        {"basic_auth": {"rules": [{"credentials": ["a:b"]}]}},
        {"headers": {"response": [{"set": {"name": "hello", "value": "%REQ(user-agent)%"}}]}}
    ]}"#;
    let run = Run::new(config);
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    let mut host = SliceHost::new(ORDINARY);
    let mut deny = || {
        host.request.fill(ORDINARY);
        stream.clear();
        match run.policy.on_request(&mut stream, &mut *host, &mut scratch) {
            Answer::Reply(reply) => assert_eq!((reply.status, reply.fields().len()), (401, 3)),
            Answer::Continue | Answer::Wait => panic!("let through"),
        }
    };
    deny();
    let info = measure(|| (0..REQUESTS).for_each(|_| deny()));
    assert!(info.count_total > 0, "so this test sees what is allocated");
    assert_eq!((info.count_current, info.bytes_current), (0, 0));
}

struct Run {
    policy: Policy<NoFurther>,
    /// Status and content of what callouts are answered with.
    answer: (u16, &'static str),
}

impl Run {
    fn new(config: &str) -> Self {
        let policy = Policy::load(config.as_bytes(), HashKey::new([7; 16])).unwrap();
        Self { policy, answer: (500, "") }
    }

    /// Sends the request again and again, after once to warm up, and shows what came of the last.
    #[track_caller]
    fn takes_none(&self, request: Lines<'_>) -> Box<SliceHost> {
        let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
        let mut host = SliceHost::new(request);
        host.stores = stores(&self.policy);
        let mut exchange = || {
            host.request.fill(request);
            host.response.fill(&[]);
            stream.clear();
            match self.request(&mut stream, &mut host, &mut scratch) {
                Answer::Continue => {}
                Answer::Wait => panic!("held"),
                Answer::Reply(reply) => panic!("{}", reply.details),
            }
            host.response.fill(RESPONSE);
            let _ = self.policy.on_response(&mut stream, &mut *host, &mut scratch, false);
        };
        exchange();
        // What is remembered has been shared once.
        exchange();
        let info = measure(|| (0..REQUESTS).for_each(|_| exchange()));
        assert_eq!(info.count_total, 0, "{} bytes in {REQUESTS} requests", info.bytes_total);
        host
    }

    /// Sends a request, and answers what is asked because of it.
    fn request<'s>(
        &'s self,
        stream: &mut Stream,
        host: &mut SliceHost,
        scratch: &mut Scratch,
    ) -> Answer<'s> {
        let answer = self.policy.on_request(stream, host, scratch);
        if !matches!(answer, Answer::Wait) {
            return answer;
        }
        let (status, body) = self.answer;
        let outcome = Outcome::Answer(CalloutAnswer { status, fields: &[], body: body.as_bytes() });
        let ended = Event::Ended(CalloutId(host.asked.get()), outcome);
        self.policy.on_event(stream, ended, host, scratch)
    }
}

type Stores = Vec<Vec<RefCell<Shard<()>>>>;

fn stores(policy: &Policy<NoFurther>) -> Stores {
    let shards = policy.stores().iter().map(|spec| (0..spec.shards()).map(|_| spec.shard()));
    shards.map(|shards| shards.map(RefCell::new).collect()).collect()
}

fn authorized(credential: &str) -> Vec<(&'static str, &'static str)> {
    let value = format!("Basic {}", STANDARD.encode(credential)).leak();
    ORDINARY.iter().copied().chain([("authorization", &*value)]).collect()
}

fn list(elements: impl Iterator<Item = String>) -> String {
    elements.collect::<Vec<_>>().join(", ")
}

/// A host whose memory is all there from the start.
struct SliceHost {
    request: Fields,
    response: Fields,
    log: RefCell<Text<4096>>,
    counted: Cell<u64>,
    noted: usize,
    stores: Stores,
    /// How many callouts were started.
    asked: Cell<u64>,
}

impl SliceHost {
    fn new(request: Lines<'_>) -> Box<Self> {
        let mut host = Box::new(Self {
            request: Fields::default(),
            response: Fields::default(),
            log: RefCell::default(),
            counted: Cell::new(0),
            noted: 0,
            stores: Vec::new(),
            asked: Cell::new(0),
        });
        host.request.fill(request);
        host
    }

    fn section(&self, section: Section) -> &Fields {
        match section {
            Section::Request => &self.request,
            Section::Response => &self.response,
        }
    }

    fn sent(&self, section: Section, name: &str) -> Vec<&str> {
        let lines = self.fields(section).filter(|(n, _)| *n == name.as_bytes());
        lines.map(|(_, value)| std::str::from_utf8(value).unwrap()).collect()
    }
}

impl Host for SliceHost {
    type Waker = ();

    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.section(section).iter()
    }
    fn attribute(&self, _attribute: Attribute) -> Option<&[u8]> {
        None
    }
    fn logs(&self, level: Level) -> bool {
        level >= Level::Info
    }
    fn log(&self, _level: Level, message: fmt::Arguments<'_>) {
        let mut log = self.log.borrow_mut();
        log.len = 0;
        log.write_fmt(message).unwrap();
    }
    fn add(&self, _counter: Metric, n: u64) {
        self.counted.set(self.counted.get() + n);
    }
    fn now(&self) -> UnixTime {
        UnixTime::default()
    }
    fn shift(&self, _gauge: Metric, _by: i64) {}
    fn record(&self, _histogram: Metric, _value: u64) {}
    fn dispatch(&self, _callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        self.asked.set(self.asked.get() + 1);
        Ok(CalloutId(self.asked.get()))
    }
    fn send_out(&self, _callout: &Callout<'_>, _errand: Errand) -> Result<(), DispatchError> {
        Err(DispatchError::CannotSend)
    }
    fn waker(&self) -> Self::Waker {}
    fn wake(&self, (): Self::Waker) {}
    fn shared<R>(&self, store: StoreId, hash: u64, work: impl FnOnce(&mut Shard<()>) -> R) -> R {
        let shards = &self.stores[store.index()];
        work(&mut shards[hash as usize % shards.len()].borrow_mut())
    }
    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        let fields = match section {
            Section::Request => &mut self.request,
            Section::Response => &mut self.response,
        };
        match edit {
            Edit::Set(name, value) => {
                fields.remove(name.as_bytes());
                fields.push(name.as_bytes(), value.as_bytes());
            }
            Edit::Append(name, value) => fields.push(name.as_bytes(), value.as_bytes()),
            Edit::Remove(name) => fields.remove(name.as_bytes()),
        }
    }
    fn note(&mut self, key: &str, value: &[u8]) {
        self.noted += key.len() + value.len();
    }
    fn reroute(&mut self) {}
}

#[derive(Default)]
struct Fields {
    lines: [(Text<32>, Text<128>); 24],
    len: usize,
}

impl Fields {
    fn fill(&mut self, lines: Lines<'_>) {
        self.len = 0;
        lines.iter().for_each(|(name, value)| self.push(name.as_bytes(), value.as_bytes()));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines[..self.len].iter().map(|(name, value)| (name.bytes(), value.bytes()))
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        let line = &mut self.lines[self.len];
        line.0.replace(name);
        line.1.replace(value);
        self.len += 1;
    }

    fn remove(&mut self, name: &[u8]) {
        let mut kept = 0;
        for at in 0..self.len {
            if self.lines[at].0.bytes() != name {
                self.lines.swap(kept, at);
                kept += 1;
            }
        }
        self.len = kept;
    }
}

struct Text<const SIZE: usize> {
    bytes: [u8; SIZE],
    len: usize,
}

impl<const SIZE: usize> Default for Text<SIZE> {
    fn default() -> Self {
        Self { bytes: [0; SIZE], len: 0 }
    }
}

impl<const SIZE: usize> Text<SIZE> {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap()
    }

    fn replace(&mut self, bytes: &[u8]) {
        self.len = 0;
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

impl<const SIZE: usize> Write for Text<SIZE> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}
