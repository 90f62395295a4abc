//! `docs/metrics.md` lists every counter under the names that the code gives it, and its rules make
//! labels of them.

mod checked_in;

use pintle_core::config::HashKey;
use pintle_core::metrics::{Measure, Meter, MetricKind, MetricName};
use pintle_core::{Denial, NoFurther, Policy};
use regex_automata::meta::Regex;

const FILE: &str = "docs/metrics.md";

/// Each kind once, with every counter it can have.
const CONFIG: &str = r#"{"filters": [
    {"log_headers": {"request": ["*"], "when": {"path": {"prefix": "/"}}}},
    {"require_header": {"header": "allow", "when": {"path": {"prefix": "/"}}}},
    {"basic_auth": {"rules": [{"when": {"path": {"prefix": "/"}}, "credentials": ["a:b"]}]}},
    {"headers": {"request": [{"remove": {"name": "a"}}], "when": {"path": {"prefix": "/"}}}},
    {"token_exchange": {"cluster": "a", "authority": "a", "path": "/", "when": {"path": {"prefix": "/"}}}},
    {"problem_json": {"when": {"path": {"prefix": "/"}}}}
]}"#;

/// The rules for Envoy's `stats_tags`: the first group leaves the name, the second is the label.
const TAGS: [(&str, &str); 6] = [
    ("pintle_filter", r"(pintle_filter=\.=(.*?);\.;)"),
    ("pintle_reason", r"(pintle_reason=\.=(.*?);\.;)"),
    ("pintle_result", r"(pintle_result=\.=(.*?);\.;)"),
    ("pintle_filter", r"^pintle\.(([A-Za-z0-9_-]+)\.)"),
    ("pintle_reason", r"^pintle\.[A-Za-z0-9_-]+\.denied(\.([a-z0-9_]+))$"),
    ("pintle_result", r"^pintle\.[A-Za-z0-9_-]+\.callouts(\.([a-z0-9_]+))$"),
];

#[test]
fn tables_are_current() {
    let file = checked_in::file(FILE);
    let text = std::fs::read_to_string(&file).unwrap();
    let counters = counters();
    let current = replace(&text, "counters", &what_is_counted(&counters));
    let current = replace(&current, "names", &names(&counters));
    if checked_in::bless() {
        std::fs::write(&file, &current).unwrap();
    } else {
        assert!(text == current, "the tables of {FILE} are stale: {}", checked_in::HOW);
    }
}

#[test]
fn rules_are_those_that_were_tried() {
    let text = std::fs::read_to_string(checked_in::file(FILE)).unwrap();
    let rules: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("- {tag_name: ")).collect();
    assert_eq!(rules, TAGS.map(|(name, regex)| format!("{name}, regex: '{regex}'}}")));
}

#[test]
fn every_denial_is_counted_somewhere() {
    let counters = counters();
    for denial in Denial::ALL {
        assert!(counters.iter().any(|c| c.measure == Measure::Denied(denial)), "{denial:?}");
    }
}

#[test]
fn names_become_labels() {
    for counter in counters() {
        let outcome = counter.measure.name();
        let (reason, result) = match counter.measure {
            Measure::Denied(denial) => (Some(denial.slug().to_string()), None),
            Measure::Own(Meter { label: Some((name, value)), .. }) => {
                assert_eq!(*name, "result", "a label without a rule");
                (None, Some(value.to_string()))
            }
            Measure::Allowed | Measure::Observed | Measure::Own(_) => (None, None),
        };
        let labels = Labels { filter: Some(counter.filter.clone()), reason, result };
        assert_eq!(extract(&module(&counter)), (format!("pintle.{outcome}"), labels.clone()));
        assert_eq!(extract(&wasm(&counter)), (format!("wasmcustom.pintle_{outcome}"), labels));
    }
}

fn counters() -> Vec<MetricName> {
    let policy = Policy::<NoFurther>::load(CONFIG.as_bytes(), HashKey::new([0; 16])).unwrap();
    policy.metrics().to_vec()
}

fn what_is_counted(counters: &[MetricName]) -> String {
    let mut table = "| module | proxy-wasm | a request that |\n|---|---|---|\n".to_string();
    for counter in counters {
        let meaning = meaning(&counter.filter, counter.measure);
        table += &format!("| `{}` | `{}` | {meaning} |\n", module(counter), wasm(counter));
    }
    table
}

fn meaning(kind: &str, measure: Measure) -> &'static str {
    match measure {
        Measure::Allowed => match kind {
            "log_headers" => "was for it, logged or not, as its level is on or off",
            "headers" => "was for it",
            "problem_json" => "had a response that was for it, problem or not",
            _ => "passed",
        },
        Measure::Observed => match kind {
            "log_headers" => "`mode: observe`: had a path that cannot be judged",
            "headers" => "`mode: observe`: would have been edited",
            "token_exchange" => "`mode: observe`: would have been denied, or asked about",
            "problem_json" => "`mode: observe`: had a response that would have become a problem",
            _ => "`mode: observe`: would have been denied",
        },
        Measure::Denied(denial) => match denial {
            Denial::NoCredentials if kind == "token_exchange" => {
                "had no credential, under `on_missing: deny`: 401"
            }
            Denial::MalformedCredentials if kind == "token_exchange" => {
                "had a credential that is not what RFC 6750 asks for, with a `grant`: 401"
            }
            Denial::RepeatedCredentials if kind == "token_exchange" => {
                "had several credentials, or several joined by a comma: 401"
            }
            Denial::NoCredentials => "had no `authorization`, or one of another scheme: 401",
            Denial::MalformedCredentials => {
                "had an `authorization` that is not what RFC 7617 asks for: 401"
            }
            Denial::RepeatedCredentials => {
                "had several values of `authorization`, or several joined by a comma: 401"
            }
            Denial::WrongCredentials => {
                "had a user or a password that a matching rule does not list: 401"
            }
            Denial::FieldMissing => "had no such field: 403, or the status of `deny`",
            Denial::FieldMismatch => {
                "had a value of the field that does not pass: 403, or the status of `deny`"
            }
            Denial::ExchangeRefused => "was refused by the service: the status of its answer",
            Denial::ExchangeUnavailable => {
                "could not be asked about, as the service is unavailable: 503"
            }
            Denial::ExchangeUnusable => "brought an answer that is no token: 503",
            Denial::ExchangeOverloaded => "came when `max_waiters` others waited already: 503",
            Denial::PathInvalid => "had a path with an invalid escape, `%00` or a NUL: 400",
            Denial::PathEncodedSlash => {
                "had a path with `%2F` or `%5C` under `encoded_slash: reject`: 400"
            }
            Denial::Other(..) => unreachable!("no shipped filter has it"),
        },
        Measure::Own(meter) => own_meaning(meter),
    }
}

/// Of what is no count of requests the kind is said too.
fn own_meaning(meter: &Meter) -> &'static str {
    match (meter.name, meter.label.map(|(_, value)| value), meter.kind) {
        ("callouts", Some("granted"), _) => "callouts that brought a token",
        ("callouts", Some("refused"), _) => "callouts whose answer refused the caller",
        ("callouts", Some("unavailable"), _) => {
            "callouts that could not be made, failed, or were answered with 5xx"
        }
        ("callouts", Some("unusable"), _) => "callouts with any other answer",
        ("hits", None, _) => "was served a token that was known",
        ("misses", None, _) => "found nothing known, and had a callout made",
        ("negative_hits", None, _) => "was refused as another had just been",
        ("stale", None, _) => "was served an old token, as there was no new one",
        ("coalesced", None, _) => "came to wait for the callout of another",
        ("problems", None, _) => "had a response that became a problem",
        ("evicted", None, _) => "answers that had to make room for others",
        ("entries", None, MetricKind::Gauge) => "gauge: answers that are remembered",
        ("waiting", None, MetricKind::Gauge) => {
            "gauge: requests that wait for the callout of another"
        }
        ("callout_ms", None, MetricKind::Histogram) => {
            "histogram: milliseconds from the start of a callout to its end"
        }
        _ => unreachable!("{meter:?} is of no filter above"),
    }
}

/// At `/stats/prometheus`, by example of one filter, as the rest is alike.
fn names(counters: &[MetricName]) -> String {
    let mut table = "| module | proxy-wasm |\n|---|---|\n".to_string();
    for outcome in [Measure::Allowed, Measure::Observed, Measure::Denied(Denial::WrongCredentials)]
    {
        let counter =
            counters.iter().find(|c| c.filter == "basic_auth" && c.measure == outcome).unwrap();
        table +=
            &format!("| `{}` | `{}` |\n", prometheus(&module(counter)), prometheus(&wasm(counter)));
    }
    table
}

/// At `/stats`.
fn module(counter: &MetricName) -> String {
    format!("pintle.{}", counter.module())
}

/// At `/stats`.
fn wasm(counter: &MetricName) -> String {
    format!("wasmcustom.{}", counter.wasm())
}

/// At `/stats/prometheus`.
fn prometheus(name: &str) -> String {
    let (name, labels) = extract(name);
    let name =
        name.strip_prefix("wasmcustom.").map_or_else(|| format!("envoy_{name}"), str::to_string);
    let labels = [
        ("pintle_filter", labels.filter),
        ("pintle_reason", labels.reason),
        ("pintle_result", labels.result),
    ];
    let labels =
        labels.into_iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?)));
    format!("{}{{{}}}", name.replace('.', "_"), labels.collect::<Vec<_>>().join(","))
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Labels {
    filter: Option<String>,
    reason: Option<String>,
    result: Option<String>,
}

/// What Envoy makes of a name: all rules see the whole of it, and then what they matched goes.
fn extract(name: &str) -> (String, Labels) {
    let mut labels = Labels::default();
    let mut removed = Vec::new();
    for (tag, rule) in TAGS {
        let regex = Regex::new(rule).unwrap();
        let mut captures = regex.create_captures();
        regex.captures(name, &mut captures);
        let (Some(whole), Some(value)) = (captures.get_group(1), captures.get_group(2)) else {
            continue;
        };
        let label = match tag {
            "pintle_filter" => &mut labels.filter,
            "pintle_reason" => &mut labels.reason,
            _ => &mut labels.result,
        };
        assert_eq!(
            label.replace(name[value.range()].to_string()),
            None,
            "two rules for {tag} in {name}"
        );
        removed.push(whole.range());
    }
    removed.sort_by_key(|range| range.start);
    let mut left = name.to_string();
    removed.iter().rev().for_each(|range| left.replace_range(range.clone(), ""));
    (left, labels)
}

fn replace(text: &str, part: &str, table: &str) -> String {
    let start = format!("<!-- generated: {part} -->\n");
    let (before, rest) = text.split_once(&start).expect("the marker where the table starts");
    let (_, after) = rest.split_once("<!-- end -->").expect("the marker where the table ends");
    format!("{before}{start}{table}<!-- end -->{after}")
}
