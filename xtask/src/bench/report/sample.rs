//! Results that nobody measured, for tests.

use std::collections::BTreeMap;

use crate::bench::machine::Machine;
use crate::bench::results::{
    Instructions, Job, Latency, LatencyRound, Memory, Micro, Place, Results, Round, Soak,
    SoakPoint, Throughput,
};
use crate::bench::subject::Subject;

const MIB: u64 = 1 << 20;

/// A run that measured nothing.
pub(crate) fn empty() -> Results {
    let machine = Machine {
        date: "2026-01-31".into(),
        commit: "0123456789".into(),
        cpu: "A processor".into(),
        cores: 2,
        memory_bytes: 8 << 30,
        kernel: "Linux 6.1".into(),
        envoy: "1.40.0".into(),
        tools: BTreeMap::from([("rustc".to_owned(), "rustc 1.95.0".to_owned())]),
    };
    Results::new(machine, true)
}

/// A run with a little of everything.
pub(crate) fn results() -> Results {
    let mut results = empty();
    results.scenarios = vec![
        job("reference", "The reference job", None, &["basic_auth", "header_mutation"]),
        job("rules", "Basic auth by rules", Some("rules"), &["rbac"]),
        job("token-exchange-warm", "A token", None, &[]),
        job("token-exchange-warm-1k", "A token for more", None, &[]),
    ];
    for (subject, cost) in [
        (Subject::None, 0.0),
        (Subject::Native, 6_100.0),
        (Subject::Wasm, 23_500.0),
        (Subject::WasmHeaders, 23_000.0),
        (Subject::Envoy, 8_600.0),
        (Subject::IdleNative, 3_828.0),
    ] {
        results.instructions.push(instructions("reference", None, subject, cost));
        if subject == Subject::None {
            results.instructions.push(instructions("rules", None, subject, cost));
            continue;
        }
        for (size, more) in [(1, 0.0), (1_000, cost * 0.04)] {
            results.instructions.push(instructions("rules", Some(size), subject, cost + more));
        }
    }
    for (scenario, cost) in [("token-exchange-warm", 7_900.0), ("token-exchange-warm-1k", 12_900.0)]
    {
        results.instructions.push(instructions(scenario, None, Subject::None, 0.0));
        results.instructions.push(instructions(scenario, None, Subject::Native, cost));
    }
    for (subject, factor) in [(Subject::None, 1.0), (Subject::Native, 1.1), (Subject::Envoy, 1.15)]
    {
        results.throughput.push(throughput("reference", None, subject, factor));
    }
    // The clock went on while this one was measured.
    results.throughput.push(throughput("rules", Some(1), Subject::Native, f64::INFINITY));
    for (subject, base) in [(Subject::None, 500.0), (Subject::Native, 510.0)] {
        results.latency.push(latency("reference", subject, base));
        results.memory.push(memory("reference", subject, 60 + u64::from(base > 500.0)));
        results.soak.push(soak("reference", subject, base));
    }
    results.file_bytes = BTreeMap::from([(Subject::Native, 900 << 10), (Subject::Wasm, 700 << 10)]);
    let micro = |name: &str, allocations| Micro {
        name: name.into(),
        samples_ns: vec![80.0, 82.0, 81.0],
        allocations,
    };
    results.micro = vec![micro("basic_auth", 0.0), micro("problem_json/an error", 19.0)];
    results.left_out = vec!["Go: install Go 1.24".into()];
    results
}

fn job(id: &str, title: &str, varies: Option<&str>, envoy_filters: &[&str]) -> Job {
    Job {
        id: id.into(),
        title: title.into(),
        about: "What is done.".into(),
        varies: varies.map(str::to_owned),
        sizes: if varies.is_some() { vec![1, 1_000] } else { Vec::new() },
        envoy_filters: envoy_filters.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn place(scenario: &str, size: Option<u32>, subject: Subject) -> Place {
    Place { scenario: scenario.into(), size, subject }
}

fn instructions(scenario: &str, size: Option<u32>, subject: Subject, cost: f64) -> Instructions {
    let whole = 200_000.0 + 10.0 * cost;
    Instructions {
        place: place(scenario, size, subject),
        copies: 10,
        requests: 2_000,
        samples: vec![whole - 10.0, whole, whole + 10.0],
    }
}

fn throughput(scenario: &str, size: Option<u32>, subject: Subject, factor: f64) -> Throughput {
    let round = |drift: f64| Round {
        requests: 20_000,
        seconds: factor * drift,
        cpu_seconds: 0.6 * factor * drift,
    };
    let rounds = [1.0, 1.01, 0.99].into_iter().map(round).collect();
    Throughput { place: place(scenario, size, subject), connections: 16, rounds }
}

fn latency(scenario: &str, subject: Subject, p99_us: f64) -> Latency {
    let round = |p99_us: f64| LatencyRound {
        requests: 10_000,
        errors: 0,
        seconds: 1.0,
        cpu_seconds: 0.5,
        p50_us: p99_us / 4.0,
        p90_us: p99_us / 2.0,
        p99_us,
        p999_us: p99_us * 3.0,
    };
    let rounds = vec![round(p99_us - 5.0), round(p99_us), round(p99_us + 5.0)];
    Latency { place: place(scenario, None, subject), load_percent: 50, rate: 5_000, rounds }
}

fn memory(scenario: &str, subject: Subject, mib: u64) -> Memory {
    Memory {
        place: place(scenario, None, subject),
        workers: 1,
        start_ms: vec![80.0, 81.0, 90.0],
        resident_bytes: vec![mib * MIB; 3],
    }
}

fn soak(scenario: &str, subject: Subject, kib: f64) -> Soak {
    let point = |requests, resident_bytes| SoakPoint { requests, resident_bytes };
    let points = vec![
        point(0, 50 * MIB),
        point(200_000, 60 * MIB),
        point(1_000_000, 60 * MIB + (kib as u64) * 1024),
    ];
    Soak { place: place(scenario, None, subject), points }
}
