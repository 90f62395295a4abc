//! What is measured: typical cases of each filter.

use crate::host::Line;
use crate::job::{Effects, Job};

/// `alice:wonderland`.
const ALICE: &str = "Basic YWxpY2U6d29uZGVybGFuZA==";
/// `alice:wrong`.
const WRONG: &str = "Basic YWxpY2U6d3Jvbmc=";
/// `u700:pw`.
const U700: &str = "Basic dTcwMDpwdw==";
/// `u9999:pw9999`.
const U9999: &str = "Basic dTk5OTk6cHc5OTk5";

/// Nothing that is seen.
const NOTHING: Effects = Effects { reply: None, edits: 0, log_lines: 0 };

/// Every job, filter by filter.
pub fn all() -> Vec<Job> {
    let mut jobs = require_header();
    jobs.extend(basic_auth());
    jobs.extend(headers());
    jobs.extend(log_headers());
    jobs.extend(token_exchange());
    jobs.extend(problem_json());
    jobs.extend(paths());
    jobs.extend(chain());
    jobs
}

fn require_header() -> Vec<Job> {
    let job = |case, fields, effects| {
        let config = format!(r#"{{"filters": [{{"require_header": {{{fields}}}}}]}}"#);
        Job::request("require_header", case, &config, request(), effects)
    };
    let denied = Effects { reply: Some(403), ..NOTHING };
    vec![
        job("present", r#""header": "user-agent""#, NOTHING),
        job("equal", r#""header": "user-agent", "exact": "curl/8.5.0""#, NOTHING),
        job("matched by a regex", r#""header": "user-agent", "regex": "^[a-z]+/[0-9]""#, NOTHING),
        job("absent, denied", r#""header": "x-absent""#, denied),
    ]
}

fn basic_auth() -> Vec<Job> {
    let job = |case, rules: &str, request, effects| {
        let config = format!(r#"{{"filters": [{{"basic_auth": {{"rules": [{rules}]}}}}]}}"#);
        Job::request("basic_auth", case, &config, request, effects)
    };
    let one = r#"{"credentials": ["alice:wonderland"]}"#;
    let rule = |n: usize| {
        format!(r#"{{"when": {{"path": {{"prefix": "/p{n}/"}}}}, "credentials": ["u{n}:pw"]}}"#)
    };
    let rules = list(1_000, rule);
    let credentials = list(10_000, |n| format!(r#""u{n}:pw{n}""#));
    let credentials = format!(r#"{{"credentials": [{credentials}]}}"#);
    let denied = Effects { reply: Some(401), ..NOTHING };
    vec![
        job("1 rule", one, authorized(ALICE), NOTHING),
        job("1 rule for a prefix", &rule(700), at("/p700/x", authorized(U700)), NOTHING),
        job("1,000 rules for prefixes", &rules, at("/p700/x", authorized(U700)), NOTHING),
        job("1,000 rules, none matches", &rules, authorized(U700), NOTHING),
        job("10,000 credentials", &credentials, authorized(U9999), NOTHING),
        job("wrong password, denied", one, authorized(WRONG), denied),
    ]
}

fn headers() -> Vec<Job> {
    let request_edits = r#"{"filters": [{"headers": {"request": [
        {"set": {"name": "hello", "value": "world"}},
        {"set": {"name": "x-agent", "value": "%REQ(user-agent)% at %REQ(:authority)%"}},
        {"append": {"name": "accept", "value": "text/html"}},
        {"add_if_absent": {"name": "x-new", "value": "new"}},
        {"remove": {"name": "cookie"}}
    ]}}]}"#;
    let response_edits = r#"{"filters": [{"headers": {"response": [
        {"set": {"name": "hello", "value": "world"}},
        {"set": {"name": "x-id", "value": "%REQ(x-request-id)% gave %RESP(:status)%"}},
        {"append": {"name": "via", "value": "1.1 c"}},
        {"add_if_absent": {"name": "x-new", "value": "new"}},
        {"remove": {"name": "set-cookie"}}
    ]}}]}"#;
    let effects = Effects { edits: 5, ..NOTHING };
    let both = (request(), response());
    vec![
        Job::request("headers", "5 edits of the request", request_edits, request(), effects),
        Job::response("headers", "5 edits of the response", response_edits, both, effects),
    ]
}

fn log_headers() -> Vec<Job> {
    let config = |level| {
        format!(
            r#"{{"filters": [{{"log_headers": {{"request": ["*"], "response": ["*"], "level": "{level}"}}}}]}}"#
        )
    };
    let (off, on) = (config("debug"), config("info"));
    let effects = Effects { log_lines: 1, ..NOTHING };
    let both = (request(), response());
    vec![
        Job::request("log_headers", "off, request", &off, request(), NOTHING),
        Job::request("log_headers", "on, request", &on, request(), effects),
        Job::response("log_headers", "off, response", &off, both.clone(), NOTHING),
        Job::response("log_headers", "on, response", &on, both, effects),
    ]
}

/// The service answers at once; what it takes to get there is the proxy's.
fn token_exchange() -> Vec<Job> {
    let config = |cache| {
        format!(
            r#"{{"filters": [{{"token_exchange": {{
                "cluster": "auth", "authority": "auth.example", "path": "/token"{cache}
            }}}}]}}"#
        )
    };
    let (cached, plain) = (config(r#", "cache": {"ttl": "1m"}"#), config(""));
    let effects = Effects { edits: 1, ..NOTHING };
    let job = |case, config: &str, credential| {
        Job::request("token_exchange", case, config, authorized(credential), effects)
    };
    let short = "Bearer 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU";
    let long = format!("{short}{}", "v".repeat(1_024)).leak();
    vec![
        job("warm cache, credential of 64 B", &cached, short),
        job("warm cache, credential of 1,088 B", &cached, long),
        job("no cache, a callout each", &plain, short),
        Job::request("token_exchange", "no credential", &cached, request(), NOTHING),
    ]
}

fn problem_json() -> Vec<Job> {
    let config = r#"{"filters": [{"problem_json": {}}]}"#;
    let job = |case, response, edits| {
        let effects = Effects { edits, ..NOTHING };
        Job::response("problem_json", case, config, (request(), response), effects)
    };
    let with_status = |status| -> Vec<Line> {
        let fields = response().into_iter();
        fields.map(|(name, value)| (name, if name == ":status" { status } else { value })).collect()
    };
    vec![job("no error", with_status("200"), 0), job("an error", with_status("404"), 1)]
}

/// The same condition and edit, for paths of one form and of several.
fn paths() -> Vec<Job> {
    let config = r#"{"filters": [{"headers": {
        "request": [{"set": {"name": "hello", "value": "world"}}],
        "when": {"path": [{"prefix": "/api/"}, {"exact": "/health"}]}
    }}]}"#;
    let job = |case, path| {
        let effects = Effects { edits: 1, ..NOTHING };
        // Fields of the request are edited only after its path was judged.
        Job::request("paths", case, config, at(path, request()), effects)
    };
    vec![
        job("plain", "/api/v1/users?page=2"),
        job("escapes", "/%61pi/v1/us%65rs?page=2"),
        job("escapes, dots, slashes", "/x/..//%61pi/%2e/v1%2Fusers?page=2"),
    ]
}

/// All filters in one chain, each with something to do.
fn chain() -> Vec<Job> {
    let config = r#"{"filters": [
        {"log_headers": {"request": ["user-agent"], "response": [":status"]}},
        {"basic_auth": {"rules": [{"credentials": ["alice:wonderland"]}], "forward_user": "x-user"}},
        {"require_header": {"header": "accept"}},
        {"headers": {
            "request": [{"set": {"name": "x-agent", "value": "%REQ(user-agent)%"}}],
            "response": [{"set": {"name": "hello", "value": "world %REQ(x-request-id)%"}}]
        }}
    ]}"#;
    let both = (authorized(ALICE), response());
    let on_request = Effects { edits: 2, log_lines: 1, reply: None };
    let on_response = Effects { edits: 1, log_lines: 1, reply: None };
    let denial = r#"{"filters": [
        {"basic_auth": {"rules": [{"credentials": ["alice:wonderland"]}]}},
        {"headers": {"response": [{"set": {"name": "hello", "value": "world"}}]}}
    ]}"#;
    let denied = Effects { reply: Some(401), ..NOTHING };
    vec![
        Job::request("chain of all", "request", config, authorized(ALICE), on_request),
        Job::response("chain of all", "response", config, both, on_response),
        Job::request("chain of two", "denied, reply edited", denial, authorized(WRONG), denied),
    ]
}

fn request() -> Vec<Line> {
    vec![
        (":method", "GET"),
        (":path", "/api/v1/users?page=2"),
        (":authority", "api.example.com:8443"),
        (":scheme", "https"),
        ("user-agent", "curl/8.5.0"),
        ("accept", "*/*"),
        ("x-request-id", "4e1c1ad5-0e4c-4d3c-9a43-6b06a9a5a9f1"),
        ("cookie", "a=b"),
    ]
}

fn response() -> Vec<Line> {
    vec![
        (":status", "200"),
        ("content-type", "text/plain"),
        ("set-cookie", "a=b"),
        ("via", "1.1 a"),
    ]
}

fn authorized(credentials: &'static str) -> Vec<Line> {
    let mut request = request();
    request.push(("authorization", credentials));
    request
}

fn at(path: &'static str, request: Vec<Line>) -> Vec<Line> {
    let moved = |(name, value)| (name, if name == ":path" { path } else { value });
    request.into_iter().map(moved).collect()
}

fn list(size: usize, element: impl Fn(usize) -> String) -> String {
    (0..size).map(element).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn every_job_does_what_it_should_and_has_a_name_of_its_own() {
        let jobs = all();
        let names: BTreeSet<_> = jobs.iter().map(|job| (job.filter(), job.case())).collect();
        assert_eq!(names.len(), jobs.len());
        for job in &jobs {
            job.run().once();
        }
    }
}
