//! What is explained is what happens: over the whole corpus.

use std::rc::Rc;

use pintle_cli::explain::{Course, Exchange, Response, explanation};
use pintle_core::Policy;
use pintle_core::config::HashKey;
use pintle_core::testing::corpus::{self, CalloutEnd, Engine, FieldLines, Plan, Service};
use pintle_core::testing::{self, World};
use serde_json::Value;

fn ordinary(lines: &FieldLines) -> FieldLines {
    lines.iter().filter(|(name, _)| !name.starts_with(b":")).cloned().collect()
}

fn sent(exchange: &corpus::Exchange) -> Exchange {
    let request = &exchange.request;
    let mut lines: FieldLines = [
        (":method", &request.method),
        (":path", &request.path),
        (":authority", &request.authority),
        (":scheme", &"http".to_string()),
    ]
    .map(|(name, value)| (name.into(), value.as_bytes().to_vec()))
    .into();
    lines.extend(request.message.fields.iter().cloned());
    let response = &exchange.response;
    let response = Response {
        status: response.status,
        fields: response.message.fields.clone(),
        content: response.message.body.clone(),
    };
    Exchange { request: lines, response }
}

#[test]
fn ends_as_the_in_memory_host_does() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/testdata");
    let cases = corpus::load_dir(folder).unwrap();
    let (mut denied, mut reached) = (0, 0);
    let (mut configured, mut tokens_seen) = (0, 0);
    for case in cases.iter().filter(|case| case.engines.contains(&Engine::Memory)) {
        let title = case.title();
        let Plan::Exchange(exchange) = &case.plan else { continue };
        // The first time: nothing is remembered yet.
        let exchange = corpus::Exchange { repeat: 1, ..(**exchange).clone() };
        let policy = Policy::load(case.config.as_bytes(), HashKey::new([7; 16])).unwrap();
        let seen = testing::run(&policy, &exchange);
        let mut service = Service::of(&exchange);
        let sent = sent(&exchange);
        let world = Rc::new(World::of(&policy));
        let mut answers = |callout: &testing::SentCallout| Some(service.ask(callout.seen()));
        let course = Course::run_in(&policy, &sent, &mut answers, &world);

        let client = course.client.as_ref().unwrap_or_else(|| panic!("{title}: waits"));
        assert_eq!(client.status, seen.status, "{title}");
        assert_eq!(client.fields, seen.fields, "{title}");
        assert_eq!(client.content, seen.body, "{title}");
        let details = client.details.as_deref().unwrap_or("via_upstream");
        assert_eq!(details, seen.details, "{title}");
        let upstream = course.upstream.as_ref();
        assert_eq!(upstream.is_some(), seen.upstream.is_some(), "{title}");
        if let (Some(upstream), Some(seen)) = (upstream, &seen.upstream) {
            assert_eq!(ordinary(&upstream.fields), seen.fields, "{title}");
            let path = upstream.fields.iter().find(|(name, _)| name == b":path");
            assert_eq!(path.map(|(_, path)| path), Some(&seen.path), "{title}");
        }

        let told = explanation(&policy, &case.config, "a case", &sent, course);
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["client"]["status"], seen.status, "{title}");
        verdicts_fit(&json, &seen.details, &title);
        no_secrets(&json, &sent.request, &title);
        let document = serde_json::from_str(&case.config).unwrap_or_default();
        configured += no_copies(&json, credentials(&document), &title);
        let tokens = exchange.callouts.iter().filter_map(|callout| token(&callout.end));
        tokens_seen += no_copies(&json, tokens.collect(), &title);
        match seen.upstream {
            Some(_) => reached += 1,
            None => denied += 1,
        }
    }
    assert!(denied > 100 && reached > 200, "{denied} denied, {reached} reached the upstream");
    assert!(configured > 100 && tokens_seen > 20, "{configured} credentials, {tokens_seen} tokens");
}

/// One filter answers where one does, all before it let the request go on, and none after it is reached.
fn verdicts_fit(json: &Value, details: &str, title: &str) {
    let filters = json["filters"].as_array().unwrap();
    let verdicts = filters.iter().filter(|filter| !filter["request"].is_null());
    let verdicts: Vec<&Value> = verdicts.map(|filter| &filter["request"]).collect();
    let denied = verdicts.iter().position(|request| request["verdict"] == "denied");
    match details.strip_prefix("pintle_") {
        None => assert_eq!(denied, None, "{title}"),
        Some(slug) => {
            let denied = denied.unwrap_or_else(|| panic!("{title}: nobody denies"));
            assert_eq!(verdicts[denied]["slug"], slug, "{title}");
            assert_eq!(verdicts[denied]["status"], json["client"]["status"], "{title}");
            for later in &verdicts[denied + 1..] {
                let verdict = later["verdict"].as_str().unwrap();
                assert!(["not_reached", "skipped"].contains(&verdict), "{title}: {verdict}");
            }
        }
    }
    let reached = verdicts.iter().take(denied.unwrap_or(verdicts.len()));
    for request in reached {
        let verdict = request["verdict"].as_str().unwrap();
        assert!(!["not_reached", "waits", "denied"].contains(&verdict), "{title}: {verdict}");
    }
}

/// What clients prove themselves with is nowhere.
fn no_secrets(told: &Value, request: &FieldLines, title: &str) {
    let values = request.iter().filter_map(|(name, value)| {
        let secret = [b"authorization".as_slice(), b"cookie"].contains(&name.as_slice());
        let value = String::from_utf8_lossy(value);
        let value = value.split_once(' ').map_or(&*value, |(_, rest)| rest);
        secret.then(|| value.to_owned())
    });
    no_copies(told, values.collect(), title);
}

/// Nor are copies of these, as they are and as JSON has them; how many of them were looked for.
fn no_copies(told: &Value, secrets: Vec<String>, title: &str) -> usize {
    let secrets = secrets.into_iter().filter(|secret| secret.len() >= 8);
    let secrets: Vec<String> = secrets.collect();
    for secret in &secrets {
        let json = serde_json::to_string(secret).unwrap();
        for form in [secret, &json[1..json.len() - 1]] {
            let form = shown(form);
            assert!(!holds(told, &form), "{title}: {form} in {told}");
        }
    }
    secrets.len()
}

/// As it would be printed: ASCII, a backslash doubled.
fn shown(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

fn holds(told: &Value, text: &str) -> bool {
    match told {
        Value::String(string) => string.contains(text),
        Value::Array(list) => list.iter().any(|value| holds(value, text)),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.contains(text) || holds(value, text))
        }
        _ => false,
    }
}

/// All that is listed under this name, and the passwords in it.
fn credentials(document: &Value) -> Vec<String> {
    match document {
        Value::Array(list) => list.iter().flat_map(credentials).collect(),
        Value::Object(members) => {
            let lists = members.get("credentials").and_then(Value::as_array);
            let texts = lists.into_iter().flatten().filter_map(Value::as_str);
            let texts = texts.flat_map(|text| [Some(text), text.split_once(':').map(|(_, p)| p)]);
            let texts = texts.flatten().map(str::to_owned);
            texts.chain(members.values().flat_map(credentials)).collect()
        }
        _ => Vec::new(),
    }
}

/// What a service gives.
fn token(end: &CalloutEnd) -> Option<String> {
    match end {
        CalloutEnd::Answer(answer) if answer.status == 200 => {
            Some(String::from_utf8_lossy(answer.message.body.trim_ascii()).into_owned())
        }
        _ => None,
    }
}
