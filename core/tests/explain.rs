//! What a policy says of itself is what it does: over the corpus, and over conditions and requests made
//! up at random.

use pintle_core::config::HashKey;
use pintle_core::explain::{Act, Found, Part, Turn};
use pintle_core::metrics::Measure;
use pintle_core::syntax::path::PathError;
use pintle_core::testing::corpus::{self, Engine, FieldLines, Plan};
use pintle_core::testing::{MemoryHost, Record, World};
use pintle_core::{Answer, Denial, Policy, Scratch, Stream};
use serde_json::{Value, json};
use std::rc::Rc;

/// What was told of one request.
struct Told {
    records: Vec<Record>,
    replied: bool,
}

fn tell(policy: &Policy, request: FieldLines) -> Told {
    let mut host = MemoryHost::new(request);
    host.world = Rc::new(World::of(policy));
    host.start_recording();
    let answer = policy.on_request(&mut Stream::default(), &mut host, &mut Scratch::default());
    let replied = matches!(answer, Answer::Reply(_));
    Told { records: host.take_records(), replied }
}

fn load(document: &Value) -> Policy {
    let text = document.to_string();
    Policy::load(text.as_bytes(), HashKey::new([3; 16])).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

impl Told {
    fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.records.iter().filter_map(|record| match record {
            Record::Said(Act::Request(turn)) => Some(turn),
            _ => None,
        })
    }

    /// What the filter at this place was counted for, or noted under `observe`.
    fn verdict(&self, policy: &Policy, step: usize) -> Option<String> {
        let mut own = false;
        for record in &self.records {
            match record {
                Record::Said(Act::Request(turn)) => own = turn.step == step,
                Record::Said(Act::Response { .. }) => own = false,
                Record::Counted(metric, 1) if own => match policy.metrics()[*metric].measure {
                    Measure::Denied(denial) => return Some(denial.slug().to_string()),
                    Measure::Allowed => return Some("allowed".to_string()),
                    _ => {}
                },
                Record::Noted(key, value) if own && key.starts_with("observed.") => {
                    return Some(String::from_utf8_lossy(value).into_owned());
                }
                _ => {}
            }
        }
        None
    }
}

/// What the rules of a `basic_auth` come to.
fn of_rules(turn: &Turn) -> String {
    let invalid = turn.rules.iter().find_map(|rule| rule.applies.err());
    let denial = match invalid {
        Some(PathError::EncodedSlash) => Some(Denial::PathEncodedSlash),
        Some(_) => Some(Denial::PathInvalid),
        None => turn.rules.iter().find_map(|rule| rule.denial),
    };
    denial.map_or("allowed", Denial::slug).to_string()
}

fn check(policy: &Policy, told: &Told, title: &str) {
    let outline: Vec<_> = policy.outline().collect();
    let mut open = true;
    for turn in told.turns() {
        let verdict = turn.when.as_ref().map_or(Ok(true), |when| when.verdict);
        assert_eq!(verdict, turn.applies, "{title}: filter {}", turn.step);
        let has_requests = outline[turn.step].phases != pintle_core::Phases::Response;
        assert_eq!(turn.asked, open && has_requests, "{title}: filter {}", turn.step);
        let counted = told.verdict(policy, turn.step);
        if !turn.asked || turn.applies == Ok(false) {
            assert_eq!(counted, None, "{title}: filter {} did nothing", turn.step);
        } else if outline[turn.step].kind == Some("basic_auth") && turn.applies == Ok(true) {
            assert_eq!(counted, Some(of_rules(turn)), "{title}: filter {}", turn.step);
        }
        let denied = Denial::ALL.iter().any(|denial| Some(denial.slug()) == counted.as_deref());
        open &= !(denied && outline[turn.step].mode == pintle_core::Mode::Enforce);
    }
    assert_eq!(told.replied, !open, "{title}");
}

#[test]
fn of_the_whole_corpus() {
    let cases = corpus::load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).unwrap();
    let mut turns = 0;
    for case in cases.iter().filter(|case| case.engines.contains(&Engine::Memory)) {
        let Plan::Exchange(exchange) = &case.plan else { continue };
        let policy = Policy::load(case.config.as_bytes(), HashKey::new([3; 16])).unwrap();
        let told = tell(&policy, exchange.request.as_filters_see_it());
        // A service that was not there to be asked answers for the filter, too.
        if !case.config.contains("token_exchange") && !case.config.contains("auth_cluster_name") {
            check(&policy, &told, &case.title());
        }
        turns += told.turns().count();
    }
    assert!(turns > 300, "{turns}");
}

#[test]
fn of_conditions_and_requests_at_random() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut held, mut failed, mut invalid, mut alone) = (0, 0, 0, 0);
    for round in 0..3000 {
        let document = dice.document();
        let policy = load(&document);
        let request = dice.request();
        let told = tell(&policy, request.clone());
        let title = format!("round {round}: {document}\n{}", shown(&request));
        check(&policy, &told, &title);
        for turn in told.turns() {
            match turn.applies {
                Ok(true) => held += 1,
                Ok(false) => failed += 1,
                Err(_) => invalid += 1,
            }
            alone += check_parts(&document, turn, &request, &title);
        }
    }
    assert!(held > 1000 && failed > 1000 && invalid > 100, "{held} {failed} {invalid}");
    assert!(alone > 2000, "{alone}");
}

/// Each condition, judged as if it were the only one, comes to what was told of it. Gives how many
/// were.
fn check_parts(document: &Value, turn: &Turn, request: &FieldLines, title: &str) -> usize {
    let Some(when) = &turn.when else { return 0 };
    let filter = &document["filters"][turn.step];
    let filter = filter.as_object().unwrap().values().next().unwrap();
    for form in &when.forms {
        for part in &form.parts {
            assert_in(&filter["when"], part, title);
        }
    }
    let [form] = when.forms.as_slice() else { return 0 };
    for part in &form.parts {
        let value = filter["when"].pointer(&part.pointer).unwrap();
        let (key, value) = match part.pointer.split('/').nth(1).unwrap() {
            "headers" => ("headers", json!([value])),
            key => (key, value.clone()),
        };
        let mut document = document.clone();
        let filter = document["filters"][turn.step].as_object_mut().unwrap();
        filter.values_mut().next().unwrap()["when"] = json!({key: value});
        let told = tell(&load(&document), request.clone());
        let alone = told.turns().find(|other| other.step == turn.step).expect("the same turn");
        let applies = alone.applies;
        assert_eq!(applies, part.holds, "{title}\n{}", part.pointer);
    }
    form.parts.len()
}

/// The place of a condition is one in the document, and so are those in a `not`.
fn assert_in(when: &Value, part: &Part, title: &str) {
    assert!(when.pointer(&part.pointer).is_some(), "{title}\n{}", part.pointer);
    if let Found::Not(parts) = &part.found {
        parts.iter().for_each(|part| assert_in(when, part, title));
    }
}

#[test]
fn nothing_is_shown_by_debug() {
    let policy = load(&json!({"filters": [
        {"headers": {"when": {"headers": [{"name": "x-a", "exact": "s3cret-value"}]},
            "request": [{"set": {"name": "x-b", "value": "s3cret-value"}}]}}
    ]}));
    let told =
        tell(&policy, lines("GET", "/s3cret-value", "s3cret-value", &[("x-a", "s3cret-value")]));
    let text = format!("{:?}", told.records);
    assert!(text.contains("x-b") && !text.contains("s3cret-value"), "{text}");
}

#[test]
fn what_is_observed_is_told_and_not_done() {
    let policy = load(&json!({"filters": [
        {"headers": {"mode": "observe", "request": [{"set": {"name": "x-b", "value": "c"}}]}}
    ]}));
    let told = tell(&policy, lines("GET", "/", "a", &[]));
    let edits: Vec<_> = told
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Said(Act::Edit(edited)) => Some((edited.value.clone(), edited.held_back)),
            _ => None,
        })
        .collect();
    assert_eq!(edits, [(b"c".to_vec(), true)]);
    assert!(!told.records.iter().any(|record| matches!(record, Record::Edited(..))));
}

fn lines(method: &str, path: &str, host: &str, fields: &[(&str, &str)]) -> FieldLines {
    let pseudo = [(":method", method), (":path", path), (":authority", host), (":scheme", "http")];
    pseudo
        .iter()
        .chain(fields)
        .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
        .collect()
}

fn shown(request: &FieldLines) -> String {
    request.iter().map(|(n, v)| format!("{}: {}\n", n.escape_ascii(), v.escape_ascii())).collect()
}

/// The same numbers in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    fn request(&mut self) -> FieldLines {
        const PATHS: &[&str] = &[
            "/",
            "/a",
            "/a/b",
            "/b?x=/a",
            "/private",
            "//private",
            "/a/../private",
            "/private/../a",
            "/%61",
            "/%70rivate/../x",
            "/x%2F..%2Fprivate",
            "/a%2fb",
            "/x\\..\\private",
            "/a%5Cb",
            "/%zz",
            "/private/%00",
            "*",
            "",
            "/a/./b/",
            "/%2570rivate",
        ];
        let mut fields = Vec::new();
        if self.roll(2) == 0 {
            fields.push(("x-a", self.one(&["1", "12", "", "b"])));
        }
        if self.roll(4) == 0 {
            fields.push(("x-a", self.one(&["1", "2"])));
        }
        if self.roll(3) > 0 {
            let right = "Basic YWxpY2U6d29uZGVy";
            let value = self.one(&[right, right, right, "Basic YTpi", "Basic !", "Bearer a"]);
            fields.push(("authorization", value));
        }
        let method = self.one(&["GET", "POST", "get"]);
        let host = self.one(&["a.example", "A.example:80", "b.a.example", "other", "[::1]:1", ""]);
        lines(method, self.one(PATHS), host, &fields)
    }

    fn document(&mut self) -> Value {
        let mut filters = Vec::new();
        for _ in 0..=self.roll(3) {
            let mut fields = json!({});
            if self.roll(5) > 0 {
                fields["when"] = self.when(2);
            }
            if self.roll(3) == 0 {
                fields["mode"] = json!("observe");
            }
            let edits = json!([{"set": {"name": self.one(&["x-a", "x-b"]), "value": "1"}}]);
            let kind = match self.roll(4) {
                0 => {
                    fields["rules"] = (0..=self.roll(3)).map(|_| self.rule()).collect();
                    "basic_auth"
                }
                1 => {
                    fields["response"] = edits;
                    "headers"
                }
                2 => {
                    fields["request"] = edits.clone();
                    fields["response"] = edits;
                    "headers"
                }
                _ => {
                    fields["request"] = edits;
                    "headers"
                }
            };
            filters.push(json!({kind: fields}));
        }
        let slash = self.one(&["decode", "keep", "reject"]);
        json!({"filters": filters, "paths": {"encoded_slash": slash}})
    }

    fn rule(&mut self) -> Value {
        let mut rule = json!({"credentials": [self.one(&["alice:wonder", "bob:builder"])]});
        if self.roll(5) > 0 {
            rule["when"] = self.when(1);
        }
        rule
    }

    fn when(&mut self, depth: usize) -> Value {
        let mut when = json!({});
        if self.roll(3) == 0 {
            when["hosts"] = json!([self.one(&["a.example", "*.example", "a.*", "*", "::1"])]);
        }
        if self.roll(3) == 0 {
            when["methods"] = json!([self.one(&["GET", "POST"])]);
        }
        if self.roll(3) == 0 {
            when["headers"] = (0..=self.roll(2)).map(|_| self.header()).collect();
        }
        if self.roll(2) == 0 {
            when["path"] = match self.roll(2) {
                0 => self.path(),
                _ => json!([self.path(), self.path()]),
            };
        }
        if depth > 0 && self.roll(3) == 0 {
            when["not"] = self.when(depth - 1);
        }
        if when == json!({}) {
            when["methods"] = json!(["GET"]);
        }
        when
    }

    fn header(&mut self) -> Value {
        let name = self.one(&["x-a", "x-b", "host", ":method"]);
        match self.roll(5) {
            0 => json!({"name": name, "exact": self.one(&["1", "", "GET"])}),
            1 => json!({"name": name, "prefix": self.one(&["1", "a"])}),
            2 => json!({"name": name, "present": self.roll(2) == 0}),
            3 => json!({"name": name, "absent": self.roll(2) == 0}),
            _ => json!({"name": name}),
        }
    }

    fn path(&mut self) -> Value {
        match self.roll(4) {
            0 => json!({"exact": self.one(&["/a", "/private", "/a/b", "*"])}),
            1 => json!({"prefix": self.one(&["/", "/a", "/private", "/p"])}),
            2 => json!({"suffix": self.one(&["b", "/private", "x"])}),
            _ => json!({"regex": self.one(&["^/a", "private", "b$", "%"])}),
        }
    }
}
