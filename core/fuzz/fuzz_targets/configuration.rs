//! Loading a configuration never panics, its errors never quote a value, and what loads judges
//! requests and makes JSON of errors.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle_core::config::HashKey;
use pintle_core::testing::MemoryHost;
use pintle_core::{Answer, NoFurther, Passage, Policy, Scratch, Stream};
use serde_json::Value;

/// Stands in a value, and so must not stand in an error.
const MARKER: &str = "q7Zx9Kw2";

const REQUESTS: [&[(&str, &str)]; 4] = [
    &[(":method", "GET"), (":path", "/"), (":authority", "example.com")],
    &[
        (":method", "POST"),
        (":path", "/a/%2e%2e//b\\c?q=/d"),
        (":authority", "[::1]:80"),
        ("a", ""),
        ("a", "b"),
    ],
    &[
        (":method", "GET"),
        (":path", "/%00"),
        (":authority", "a.example.com:8080"),
        ("authorization", "Basic YTpi"),
    ],
    &[],
];

fuzz_target!(|document: &[u8]| {
    if let Ok(policy) = load(document) {
        REQUESTS.iter().for_each(|request| judge(&policy, request));
    }
    if let Some(marked) = mark(document)
        && let Err(errors) = load(&marked)
    {
        assert!(!format!("{errors} {errors:?}").contains(MARKER), "{errors}");
    }
});

fn load(document: &[u8]) -> Result<Policy<NoFurther>, pintle_core::config::ConfigErrors> {
    Policy::load(document, HashKey::new([7; 16]))
}

fn judge(policy: &Policy<NoFurther>, request: &[(&str, &str)]) {
    let lines =
        request.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let mut host = MemoryHost::new(lines.collect());
    let (mut stream, mut scratch) = (Stream::default(), Scratch::default());
    match policy.on_request(&mut stream, &mut host, &mut scratch) {
        Answer::Continue => {
            host.response.push((b":status".to_vec(), b"404".to_vec()));
            if policy.on_response(&mut stream, &mut host, &mut scratch, false) == Passage::Replace {
                stream.take(b"some \"text\"");
                let content = policy.content(&mut stream);
                assert!(serde_json::from_slice::<Value>(&content).is_ok());
            }
        }
        Answer::Wait => {}
        Answer::Reply(reply) => {
            assert!((400..=599).contains(&reply.status));
            for (name, value) in reply.fields() {
                assert!(pintle_core::syntax::field::is_token(name));
                assert!(pintle_core::syntax::field::is_value(value));
            }
        }
    }
}

/// The document with the marker in one of its strings, keys aside.
fn mark(document: &[u8]) -> Option<Vec<u8>> {
    let mut json: Value = serde_json::from_slice(document).ok()?;
    let mut strings = Vec::new();
    collect(&mut json, &mut strings);
    let sum = document.iter().fold(0_usize, |sum, byte| sum + usize::from(*byte));
    let at = sum.checked_rem(strings.len())?;
    strings[at].push_str(MARKER);
    let marked = serde_json::to_string(&json).ok()?;
    // libFuzzer finds out what is looked for, and writes it into keys, which errors may name.
    (marked.matches(MARKER).count() == 1).then(|| marked.into_bytes())
}

fn collect<'j>(json: &'j mut Value, strings: &mut Vec<&'j mut String>) {
    match json {
        Value::String(text) => strings.push(text),
        Value::Array(elements) => elements.iter_mut().for_each(|element| collect(element, strings)),
        Value::Object(members) => members.values_mut().for_each(|member| collect(member, strings)),
        _ => {}
    }
}
