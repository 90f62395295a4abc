//! The corpus on the fakes behind the dynamic-module ABI.

use envoy_proxy_dynamic_modules_rust_sdk::fakes::{
    self, FakeAnswer, FakeCallout, FakeEnvoy, FakeRequest, FakeStream, set_log_level, take_logs,
};
use envoy_proxy_dynamic_modules_rust_sdk::{HeadersStatus, LogLevel, TrailersStatus};
use pintle_core::testing::corpus::{
    self, CalloutEnd, Case, Engine, Exchange, FieldLines, LogLine, Mismatch, NO_CLUSTER, Plan,
    Seen, SeenCallout, SeenUpstream, Service,
};
use pintle_dynamic_module::Config;

#[test]
fn every_case() {
    // As the real Envoy of the corpus.
    set_log_level(LogLevel::Debug);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/testdata");
    let cases = corpus::load_dir(folder).unwrap();
    let mut wrong = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(|case| case.engines.contains(&Engine::Native)) {
        wrong.extend(run(case).iter().map(|mismatch| format!("{}: {mismatch}", case.title())));
        ran += 1;
    }
    assert!(wrong.is_empty(), "{} in {ran} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 0);
}

fn run(case: &Case) -> Vec<Mismatch> {
    let _ = take_logs();
    let envoy = FakeEnvoy::<Config>::load("pintle", case.config.as_bytes());
    let log = take_logs();
    match (&case.plan, envoy) {
        (Plan::Exchange(exchange), Some(envoy)) => {
            envoy.unknown_cluster(NO_CLUSTER);
            let (mut wrong, mut service) = (Vec::new(), Service::of(exchange));
            let mut seen = Seen::default();
            for _ in 0..exchange.repeat {
                seen = exchanged(&envoy, case, exchange, &mut service, &mut wrong);
                // What was sent out ends before anything else happens.
                while envoy.run_scheduled() + errands(&envoy, &mut service) > 0 {}
            }
            seen.counters = envoy.counters();
            seen.callouts = service.finish();
            seen.logs = take_logs().into_iter().map(log_line).collect();
            wrong.extend(corpus::verdicts(case, &seen));
            wrong
        }
        (_, envoy) => {
            let text: Vec<_> = log.into_iter().map(|line| line.message).collect();
            corpus::refusals(case, envoy.is_none().then_some(text.join("\n").as_str()))
        }
    }
}

fn exchanged(
    envoy: &FakeEnvoy<Config>,
    case: &Case,
    exchange: &Exchange,
    service: &mut Service<'_>,
    wrong: &mut Vec<Mismatch>,
) -> Seen {
    let mut seen = Seen::default();
    let (request, response) = (&exchange.request, &exchange.response);
    let arrived = request.as_filters_see_it();
    let stream = envoy.stream(FakeRequest::new(arrived.iter().map(|(n, v)| (n, v))));
    let whole = request.message.body.is_empty() && request.message.trailers.is_empty();
    let status = stream.request_headers(whole);
    let waited = status == HeadersStatus::StopAllIterationAndWatermark;
    while stream.is_held() && stream.run_scheduled() + asked(&stream, service) > 0 {}
    let reroutes = stream.route_cache_clears();
    if let Some(reply) = stream.reply() {
        // The reply is sent as it is: no hook runs for it.
        assert_eq!((stream.replies(), stream.resumed()), (1, 0));
        assert!(waited || status == HeadersStatus::StopIteration, "{}", case.title());
        seen.status = u16::try_from(reply.status).unwrap();
        seen.fields = reply.headers;
        // Envoy leaves out the content of a response to `HEAD`.
        seen.body = if request.method == "HEAD" { Vec::new() } else { reply.body };
        seen.details = reply.details;
        if reroutes != 0 {
            wrong.push(mismatch("routes chosen anew for a request that was answered", 0, reroutes));
        }
    } else {
        let resumed = usize::from(waited);
        assert_eq!((stream.is_held(), stream.resumed()), (false, resumed), "{}", case.title());
        assert!(waited || status == HeadersStatus::Continue, "{}", case.title());
        let edited = usize::from(stream.request() != arrived);
        // A rule may set the value that is there already.
        if reroutes != edited && (edited, reroutes) != (0, 1) {
            wrong.push(mismatch("routes chosen anew", edited, reroutes));
        }
        let value = |name: &[u8]| {
            stream.request().into_iter().find(|(n, _)| n == name).unwrap_or_default().1
        };
        seen.upstream = Some(SeenUpstream {
            method: String::from_utf8_lossy(&value(b":method")).into_owned(),
            path: value(b":path"),
            fields: ordinary(stream.request()),
            body_bytes: request.message.body.len() as u64,
            ..SeenUpstream::default()
        });
        let mut fields = vec![(b":status".to_vec(), response.status.to_string().into_bytes())];
        fields.extend(response.message.fields.iter().cloned());
        respond(&stream, fields, exchange);
        seen.status = response.status;
        seen.fields = ordinary(stream.response());
        seen.body = stream.content();
        seen.details = "via_upstream".to_string();
    }
    for key in exchange.expect.notes.keys() {
        seen.notes.extend(stream.metadata("pintle", key).map(|value| (key.clone(), value)));
    }
    stream.stream_complete();
    seen
}

/// The response arrives, its content in pieces.
fn respond(stream: &FakeStream<'_, Config>, fields: FieldLines, exchange: &Exchange) {
    /// Shorter than most contents, and than some characters of them.
    const CHUNK_BYTES: usize = 5;

    let message = &exchange.response.message;
    let is_head = exchange.request.method == "HEAD";
    let has_trailers = !message.trailers.is_empty() && !is_head;
    let whole = is_head || message.body.is_empty() && !message.chunked && !has_trailers;
    let status = stream.response_headers(fields, whole);
    if whole {
        assert_eq!(status, HeadersStatus::Continue);
        return;
    }
    let chunks: Vec<&[u8]> = message.body.chunks(CHUNK_BYTES).collect();
    let last = chunks.len().div_ceil(2).saturating_sub(1);
    for (place, piece) in chunks.chunks(2).enumerate() {
        stream.response_body(piece, place == last && !message.chunked && !has_trailers);
    }
    if has_trailers {
        let trailers = message.trailers.iter().map(|(name, value)| (name, value));
        assert_eq!(stream.response_trailers(trailers), TrailersStatus::Continue);
    } else if message.chunked {
        stream.response_body(&[], true);
    }
    assert!(stream.has_gone());
}

/// The service answers what the stream asks; how much that was.
fn asked(stream: &FakeStream<'_, Config>, service: &mut Service<'_>) -> usize {
    let callouts = stream.callouts();
    for callout in &callouts {
        stream.answer(callout.id, ending(callout, service));
    }
    callouts.len()
}

/// The same for what the configuration asks.
fn errands(envoy: &FakeEnvoy<Config>, service: &mut Service<'_>) -> usize {
    let callouts = envoy.callouts();
    for callout in &callouts {
        envoy.answer(callout.id, ending(callout, service));
    }
    callouts.len()
}

fn ending(callout: &FakeCallout, service: &mut Service<'_>) -> FakeAnswer {
    let end: CalloutEnd = service.ask(SeenCallout {
        cluster: Some(&callout.cluster),
        fields: &callout.headers,
        body: &callout.body,
        timeout_ms: u32::try_from(callout.timeout_ms).ok(),
    });
    let Some(reply) = end.answer() else { return FakeAnswer::Reset };
    let mut headers = vec![(b":status".to_vec(), reply.status.to_string().into_bytes())];
    headers.extend(reply.fields);
    // In two pieces, since that is what they come in.
    let (one, two) = reply.body.split_at(reply.body.len() / 2);
    FakeAnswer::Success { headers, chunks: vec![one.to_vec(), two.to_vec()] }
}

fn ordinary(fields: FieldLines) -> FieldLines {
    fields.into_iter().filter(|(name, _)| !name.starts_with(b":")).collect()
}

fn log_line(line: fakes::LogLine) -> LogLine {
    LogLine { level: format!("{:?}", line.level).to_lowercase(), message: line.message }
}

fn mismatch(what: &str, expected: usize, seen: usize) -> Mismatch {
    Mismatch { what: what.into(), expected: expected.to_string(), seen: seen.to_string() }
}
