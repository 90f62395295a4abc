//! The corpus on the fakes behind the proxy-wasm ABI.

use std::collections::BTreeMap;

use pintle_core::config::HashKey;
use pintle_core::testing::corpus::{
    self, Case, Engine, Exchange, FieldLines, LogLine, Mismatch, Plan, Seen, SeenUpstream,
};
use pintle_core::{NoFurther, Policy};
use pintle_wasm::abi::fakes::{self, End, Fields};
use pintle_wasm::vm::Vm;
use proxy_wasm::types::LogLevel;

const ROOT: u32 = 1;
const STREAM: u32 = 2;

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
            let seen = exchanged(&vm, case, exchange, &mut wrong);
            wrong.extend(corpus::verdicts(case, &seen));
            wrong
        }
        _ => {
            let text: Vec<_> = log.iter().map(|(_, line)| String::from_utf8_lossy(line)).collect();
            corpus::refusals(case, (!loaded).then_some(text.join("\n").as_str()))
        }
    }
}

fn exchanged(
    vm: &Vm<NoFurther>,
    case: &Case,
    exchange: &Exchange,
    wrong: &mut Vec<Mismatch>,
) -> Seen {
    fakes::with(|host| {
        host.create_stream(STREAM, ROOT).request =
            exchange.request.as_filters_see_it().into_iter().collect();
    });
    let end = fakes::on_request_headers(STREAM, || vm.on_request_headers(STREAM));
    let mut seen = Seen::default();
    if end == End::Reply {
        let sent = fakes::with(|host| host.streams[&STREAM].response.clone());
        fakes::on_response_headers(STREAM, || vm.on_response_headers(STREAM));
        fakes::with(|host| {
            let stream = &host.streams[&STREAM];
            if stream.response != sent {
                let what = "the own reply, after its response callback".to_string();
                let (expected, seen) = (format!("{sent:?}"), format!("{:?}", stream.response));
                wrong.push(Mismatch { what, expected, seen });
            }
            let reply = stream.reply.as_ref().unwrap();
            seen.body = reply.body.clone();
            seen.details = String::from_utf8(reply.details.clone()).unwrap();
        });
    } else {
        assert_eq!(end, End::Continue, "{}", case.title());
        let response = &exchange.response;
        fakes::with(|host| {
            let stream = host.streams.get_mut(&STREAM).unwrap();
            let value = |name: &[u8]| stream.request.values(name).next().unwrap_or_default();
            seen.upstream = Some(SeenUpstream {
                method: String::from_utf8_lossy(value(b":method")).into_owned(),
                path: value(b":path").to_vec(),
                fields: ordinary(&stream.request),
                body_bytes: exchange.request.message.body.len() as u64,
                ..SeenUpstream::default()
            });
            stream.response.add(b":status", response.status.to_string().as_bytes());
            for (name, value) in &response.message.fields {
                stream.response.add(name, value);
            }
        });
        let end = fakes::on_response_headers(STREAM, || vm.on_response_headers(STREAM));
        assert_eq!(end, End::Continue, "{}", case.title());
        seen.body = response.message.body.clone();
        seen.details = "via_upstream".to_string();
    }
    fakes::within(ROOT, || vm.on_tick(ROOT));
    fakes::with(|host| {
        let stream = &host.streams[&STREAM];
        let status = stream.response.values(b":status").next().unwrap();
        seen.status = std::str::from_utf8(status).unwrap().parse().unwrap();
        seen.fields = ordinary(&stream.response);
        seen.notes = stream
            .filter_state
            .iter()
            .map(|(name, value)| {
                let name = std::str::from_utf8(name).unwrap();
                (name.strip_prefix("wasm.pintle.").unwrap().to_string(), value.clone())
            })
            .collect();
        seen.logs = host
            .logs
            .iter()
            .map(|(level, line)| LogLine {
                level: format!("{level:?}").to_lowercase(),
                message: String::from_utf8(line.clone()).unwrap(),
            })
            .collect();
    });
    seen.counters = counters(&case.config);
    seen
}

fn ordinary(fields: &Fields) -> FieldLines {
    let ordinary = fields.iter().filter(|(name, _)| !name.starts_with(b":"));
    ordinary.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// The host's metrics, under the names that cases have.
fn counters(config: &str) -> BTreeMap<String, u64> {
    let policy = Policy::<NoFurther>::load(config.as_bytes(), HashKey::new([0; 16])).unwrap();
    let count = |name: String| fakes::with(|host| host.metrics.value(name.as_bytes())).unwrap();
    let names = policy.counters().iter();
    names
        .map(|c| (c.module().to_string(), count(c.wasm().to_string()).try_into().unwrap()))
        .collect()
}
