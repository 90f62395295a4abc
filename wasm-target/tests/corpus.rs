//! The corpus on the fakes behind the proxy-wasm ABI.

use std::collections::BTreeMap;

use pintle_core::config::HashKey;
use pintle_core::metrics::MetricKind;
use pintle_core::testing::corpus::{
    self, CalloutReply, Case, Engine, Exchange, FieldLines, LogLine, Mismatch, Plan, Seen,
    SeenCallout, SeenUpstream, Service,
};
use pintle_core::{NoFurther, Policy};
use pintle_wasm::abi::fakes::{self, Answer, End, Fields};
use pintle_wasm::vm::Vm;
use proxy_wasm::types::LogLevel;

const ROOT: u32 = 1;
const FIRST_STREAM: u32 = 2;
/// What Envoy logs of a response of the upstream.
const VIA_UPSTREAM: &str = "via_upstream";
/// The start of 2026.
const START_NANOSECONDS: u64 = 1_767_225_600_000_000_000;

#[test]
fn every_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/testdata");
    let cases = corpus::load_dir(folder).unwrap();
    let mut wrong = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(|case| case.engines.contains(&Engine::Wasm)) {
        wrong.extend(run(case).iter().map(|mismatch| format!("{}: {mismatch}", case.title())));
        ran += 1;
    }
    assert!(wrong.is_empty(), "{} in {ran} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 0);
}

fn run(case: &Case) -> Vec<Mismatch> {
    fakes::reset();
    fakes::with(|host| {
        host.create_root(ROOT);
        host.now_nanoseconds = START_NANOSECONDS;
        host.missing_clusters.insert(corpus::NO_CLUSTER.into());
        // As the real Envoy of the corpus.
        host.log_level = LogLevel::Debug;
    });
    let vm = Vm::<NoFurther>::default();
    let config = case.config.as_bytes();
    let loaded = fakes::on_configure(ROOT, config, || vm.on_configure(ROOT, config.len()));
    let log = fakes::with(|host| std::mem::take(&mut host.logs));
    match &case.plan {
        Plan::Exchange(exchange) if loaded => {
            let mut wrong = Vec::new();
            let seen = Course { vm: &vm, case, exchange, wrong: &mut wrong }.run();
            wrong.extend(corpus::verdicts(case, &seen));
            wrong
        }
        _ => {
            let text: Vec<_> = log.iter().map(|(_, line)| String::from_utf8_lossy(line)).collect();
            corpus::refusals(case, (!loaded).then_some(text.join("\n").as_str()))
        }
    }
}

/// A request, what it leads to, and what comes of it, as often as the case says.
struct Course<'c> {
    vm: &'c Vm<NoFurther>,
    case: &'c Case,
    exchange: &'c Exchange,
    wrong: &'c mut Vec<Mismatch>,
}

impl Course<'_> {
    fn run(&mut self) -> Seen {
        let mut service = Service::of(self.exchange);
        let mut seen = Seen::default();
        for stream in (FIRST_STREAM..).take(self.exchange.repeat) {
            seen = self.once(stream, &mut service);
            // What was sent out ends before anything else happens.
            while self.callout_ends(&mut service) {}
        }
        fakes::within(ROOT, || self.vm.on_tick(ROOT));
        seen.logs = fakes::with(|host| {
            let lines = host.logs.iter().map(|(level, line)| LogLine {
                level: format!("{level:?}").to_lowercase(),
                message: String::from_utf8(line.clone()).unwrap(),
            });
            lines.collect()
        });
        seen.counters = counters(&self.case.config);
        seen.callouts = service.finish();
        seen
    }

    fn once(&mut self, stream: u32, service: &mut Service<'_>) -> Seen {
        fakes::with(|host| {
            host.create_stream(stream, ROOT).request =
                self.exchange.request.as_filters_see_it().into_iter().collect();
        });
        let mut end = fakes::on_request_headers(stream, || self.vm.on_request_headers(stream));
        while end == End::Pause && self.callout_ends(service) {
            end = fakes::end(stream).unwrap();
        }
        let mut seen = Seen::default();
        match end {
            End::Reply => self.replied(stream, &mut seen),
            End::Continue => self.went_on(stream, &mut seen),
            End::Pause => panic!("{}: waits for ever", self.case.title()),
            End::Close => panic!("{}: closed", self.case.title()),
        }
        fakes::with(|host| {
            let stream = &host.streams[&stream];
            let status = stream.response.values(b":status").next().unwrap();
            seen.status = std::str::from_utf8(status).unwrap().parse().unwrap();
            seen.fields = ordinary(&stream.response);
            let notes = stream.filter_state.iter().map(|(name, value)| {
                let name = std::str::from_utf8(name).unwrap();
                (name.strip_prefix("wasm.pintle.").unwrap().to_string(), value.clone())
            });
            seen.notes = notes.collect();
        });
        seen
    }

    /// Has the callout end that has been under way the longest; whether there is any.
    fn callout_ends(&self, service: &mut Service<'_>) -> bool {
        let Some(token) = fakes::with(|host| host.tokens().first().copied()) else { return false };
        let callout = fakes::with(|host| host.callouts[&token].clone());
        let fields: FieldLines =
            callout.fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
        let end = service.ask(SeenCallout {
            cluster: std::str::from_utf8(&callout.cluster).ok(),
            fields: &fields,
            body: &callout.body,
            timeout_ms: Some(callout.timeout_ms),
        });
        let answer = end.answer().map(answer);
        fakes::on_http_call_response(token, answer, |root, token, fields, body| {
            self.vm.on_http_call_response(root, token, fields, body);
        });
        true
    }

    fn replied(&mut self, stream: u32, seen: &mut Seen) {
        let sent = fakes::with(|host| host.streams[&stream].response.clone());
        let mut body =
            fakes::with(|host| host.streams[&stream].reply.as_ref().unwrap().body.clone());
        if self.exchange.request.method == "HEAD" {
            body.clear();
        }
        let ends = body.is_empty();
        fakes::on_response_headers(stream, || self.vm.on_response_headers(stream, ends));
        if !ends {
            self.piece(stream, &body, true);
        }
        fakes::with(|host| {
            let stream = &host.streams[&stream];
            if (&stream.response, &stream.content.sent) != (&sent, &body) {
                let what = "the own reply, after its response callbacks".to_string();
                let (expected, seen) = (format!("{sent:?}"), format!("{stream:?}"));
                self.wrong.push(Mismatch { what, expected, seen });
            }
            seen.details =
                String::from_utf8(stream.reply.as_ref().unwrap().details.clone()).unwrap();
        });
        seen.body = body;
    }

    fn went_on(&mut self, id: u32, seen: &mut Seen) {
        let Exchange { request, response, .. } = self.exchange;
        fakes::with(|host| {
            let stream = host.streams.get_mut(&id).unwrap();
            let value = |name: &[u8]| stream.request.values(name).next().unwrap_or_default();
            seen.upstream = Some(SeenUpstream {
                method: String::from_utf8_lossy(value(b":method")).into_owned(),
                path: value(b":path").to_vec(),
                fields: ordinary(&stream.request),
                body_bytes: request.message.body.len() as u64,
                ..SeenUpstream::default()
            });
            stream.response.add(b":status", response.status.to_string().as_bytes());
            for (name, value) in &response.message.fields {
                stream.response.add(name, value);
            }
            // Else as over HTTP/2, which frames pieces without a field.
            if !response.message.chunked && response.message.trailers.is_empty() {
                let length = response.message.body.len().to_string();
                stream.response.add(b"content-length", length.as_bytes());
            }
            stream.properties.insert(b"response\0code_details".into(), VIA_UPSTREAM.into());
        });
        seen.details = VIA_UPSTREAM.to_string();
        self.pass_on(id);
        seen.body = fakes::with(|host| host.streams[&id].content.sent.clone());
        let Some(reply) = fakes::with(|host| host.streams[&id].reply.clone()) else { return };
        seen.details = String::from_utf8(reply.details).unwrap();
    }

    /// Brings the response to the module, its content in pieces.
    fn pass_on(&self, id: u32) {
        /// Shorter than most contents, and than some characters of them.
        const PIECE_BYTES: usize = 5;

        let Exchange { request, response, .. } = self.exchange;
        let message = &response.message;
        let body = if request.method == "HEAD" { &[][..] } else { &message.body };
        let ends = body.is_empty() && !message.chunked && message.trailers.is_empty();
        let ends = ends || request.method == "HEAD";
        let end = fakes::on_response_headers(id, || self.vm.on_response_headers(id, ends));
        if ends {
            let ends_here = matches!(end, End::Continue | End::Reply);
            return assert!(ends_here, "{}: {end:?}", self.case.title());
        }
        assert_eq!(end, End::Continue, "{}", self.case.title());
        for piece in body.chunks(PIECE_BYTES) {
            self.piece(id, piece, false);
        }
        let end = if message.trailers.is_empty() {
            self.piece(id, b"", true)
        } else {
            fakes::on_response_trailers(id, || self.vm.on_response_trailers(id))
        };
        assert_eq!(end, End::Continue, "{}", self.case.title());
    }

    fn piece(&self, id: u32, piece: &[u8], ends: bool) -> End {
        fakes::on_response_body(id, piece, ends, |size, ends| {
            self.vm.on_response_body(id, size, ends)
        })
    }
}

fn answer(reply: CalloutReply) -> Answer {
    let mut answer = Answer::new(reply.status, &[], &reply.body);
    for (name, value) in &reply.fields {
        answer.fields.add(name, value);
    }
    answer
}

fn ordinary(fields: &Fields) -> FieldLines {
    let ordinary = fields.iter().filter(|(name, _)| !name.starts_with(b":"));
    ordinary.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// The host's metrics, under the names that cases have.
fn counters(config: &str) -> BTreeMap<String, u64> {
    let policy = Policy::<NoFurther>::load(config.as_bytes(), HashKey::new([0; 16])).unwrap();
    let count = |name: String| fakes::with(|host| host.metrics.value(name.as_bytes())).unwrap();
    let names = policy.metrics().iter().filter(|m| m.measure.kind() == MetricKind::Counter);
    names
        .map(|c| (c.module().to_string(), count(c.wasm().to_string()).try_into().unwrap()))
        .collect()
}
