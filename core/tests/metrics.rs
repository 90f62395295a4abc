//! `docs/metrics.md` lists every counter under the names that the code gives it, and its rules make
//! labels of them.

mod checked_in;

use pintle_core::config::HashKey;
use pintle_core::metrics::{CounterName, Outcome};
use pintle_core::{Denial, NoFurther, Policy};
use regex_automata::meta::Regex;

const FILE: &str = "docs/metrics.md";

/// Each kind once, with every counter it can have.
const CONFIG: &str = r#"{"filters": [
    {"log_headers": {"request": ["*"], "when": {"path": {"prefix": "/"}}}},
    {"require_header": {"header": "allow", "when": {"path": {"prefix": "/"}}}},
    {"basic_auth": {"rules": [{"when": {"path": {"prefix": "/"}}, "credentials": ["a:b"]}]}},
    {"headers": {"request": [{"remove": {"name": "a"}}], "when": {"path": {"prefix": "/"}}}}
]}"#;

/// The rules for Envoy's `stats_tags`: the first group leaves the name, the second is the label.
const TAGS: [(&str, &str); 4] = [
    ("pintle_filter", r"(pintle_filter=\.=(.*?);\.;)"),
    ("pintle_reason", r"(pintle_reason=\.=(.*?);\.;)"),
    ("pintle_filter", r"^pintle\.(([A-Za-z0-9_-]+)\.)(?:allowed|observed|denied)"),
    ("pintle_reason", r"^pintle\.[A-Za-z0-9_-]+\.denied(\.([a-z0-9_]+))$"),
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
        assert!(counters.iter().any(|c| c.outcome == Outcome::Denied(denial)), "{denial:?}");
    }
}

#[test]
fn names_become_labels() {
    for counter in counters() {
        let outcome = counter.outcome.name();
        let reason = match counter.outcome {
            Outcome::Denied(denial) => Some(denial.slug().to_string()),
            Outcome::Allowed | Outcome::Observed => None,
        };
        let labels = Labels { filter: Some(counter.filter.clone()), reason };
        assert_eq!(extract(&module(&counter)), (format!("pintle.{outcome}"), labels.clone()));
        assert_eq!(extract(&wasm(&counter)), (format!("wasmcustom.pintle_{outcome}"), labels));
    }
}

fn counters() -> Vec<CounterName> {
    let policy = Policy::<NoFurther>::load(CONFIG.as_bytes(), HashKey::new([0; 16])).unwrap();
    policy.counters().to_vec()
}

fn what_is_counted(counters: &[CounterName]) -> String {
    let mut table = "| module | proxy-wasm | a request that |\n|---|---|---|\n".to_string();
    for counter in counters {
        let meaning = meaning(&counter.filter, counter.outcome);
        table += &format!("| `{}` | `{}` | {meaning} |\n", module(counter), wasm(counter));
    }
    table
}

fn meaning(kind: &str, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Allowed => match kind {
            "log_headers" => "was for it, logged or not, as its level is on or off",
            "headers" => "was for it",
            _ => "passed",
        },
        Outcome::Observed => match kind {
            "log_headers" => "`mode: observe`: had a path that cannot be judged",
            "headers" => "`mode: observe`: would have been edited",
            _ => "`mode: observe`: would have been denied",
        },
        Outcome::Denied(denial) => match denial {
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
            Denial::PathInvalid => "had a path with an invalid escape, `%00` or a NUL: 400",
            Denial::PathEncodedSlash => {
                "had a path with `%2F` or `%5C` under `encoded_slash: reject`: 400"
            }
            Denial::Other(..) => unreachable!("no shipped filter has it"),
        },
    }
}

/// At `/stats/prometheus`, by example of one filter, as the rest is alike.
fn names(counters: &[CounterName]) -> String {
    let mut table = "| module | proxy-wasm |\n|---|---|\n".to_string();
    for outcome in [Outcome::Allowed, Outcome::Observed, Outcome::Denied(Denial::WrongCredentials)]
    {
        let counter =
            counters.iter().find(|c| c.filter == "basic_auth" && c.outcome == outcome).unwrap();
        table +=
            &format!("| `{}` | `{}` |\n", prometheus(&module(counter)), prometheus(&wasm(counter)));
    }
    table
}

/// At `/stats`.
fn module(counter: &CounterName) -> String {
    format!("pintle.{}", counter.module())
}

/// At `/stats`.
fn wasm(counter: &CounterName) -> String {
    format!("wasmcustom.{}", counter.wasm())
}

/// At `/stats/prometheus`.
fn prometheus(name: &str) -> String {
    let (name, labels) = extract(name);
    let name =
        name.strip_prefix("wasmcustom.").map_or_else(|| format!("envoy_{name}"), str::to_string);
    let labels = [("pintle_filter", labels.filter), ("pintle_reason", labels.reason)];
    let labels =
        labels.into_iter().filter_map(|(name, value)| Some(format!("{name}=\"{}\"", value?)));
    format!("{}{{{}}}", name.replace('.', "_"), labels.collect::<Vec<_>>().join(","))
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Labels {
    filter: Option<String>,
    reason: Option<String>,
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
        let label = if tag == "pintle_filter" { &mut labels.filter } else { &mut labels.reason };
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
