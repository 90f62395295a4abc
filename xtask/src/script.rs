//! What the demo sends, and through which configuration.

use pintle_core::testing::corpus::{Http, Request};
use serde_json::{Value, json};

use crate::authority::{self, Call};
use crate::client;
use crate::clusters::AUTH_EMPTY;
use crate::upstream::Answer;

/// All filters.
pub(crate) const CONFIG: &str = r#"{"filters": [
  {"log_headers": {"request": ["*"], "response": [":status", "hello"]}},
  {"problem_json": {
    "types": "about:blank",
    "title": "status_phrase",
    "strip_query": true,
    "members": {"support": "shop@example.com"},
    "when": {"path": {"prefix": "/shop"}}
  }},
  {"basic_auth": {
    "forward_user": "x-user",
    "rules": [{
      "when": {"path": [{"exact": "/private"}, {"prefix": "/private/"}]},
      "credentials": ["alice:wonderland", "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="]
    }]
  }},
  {"require_header": {
    "header": "allow",
    "exact": "true",
    "deny": {"body": "Forbidden by ASM Wasm Plugin"},
    "when": {"path": [{"prefix": "/allowed"}, {"prefix": "/shop/till"}], "methods": ["GET"]}
  }},
  {"token_exchange": {
    "cluster": "auth",
    "authority": "auth.example.com",
    "path": "/token",
    "cache": {"ttl": "10m"},
    "when": {"path": {"prefix": "/orders"}}
  }},
  {"headers": {
    "request": [{"set": {"name": "x-agent", "value": "%REQ(user-agent)%"}}, {"remove": {"name": "x-secret"}}],
    "response": [{"set": {"name": "hello", "value": "world"}}],
    "when": {"not": {"hosts": ["*.org"]}}
  }}
]}"#;

/// The response fields that the table shows.
pub(crate) const SHOWN: [&str; 3] = ["hello", "grpc-status", "retry-after"];

/// Behind this nobody answers, and Envoy says so itself.
pub(crate) const CLOSED: &str = "/shop/closed";

/// Routes of all listeners, before the one to the upstream.
pub(crate) fn routes() -> Vec<Value> {
    vec![json!({"match": {"prefix": CLOSED}, "route": {"cluster": AUTH_EMPTY}})]
}

/// The request fields that the table shows at the upstream.
pub(crate) const FORWARDED: [&str; 5] = ["x-user", "x-auth-jwt", "x-agent", "x-secret", "allow"];

/// `Basic alice:wonderland`.
const ALICE: &str = "Basic YWxpY2U6d29uZGVybGFuZA==";

/// A credential that the auth service refuses.
const REVOKED: &str = "Bearer revoked";

/// What the auth service of the demo does about a call.
pub(crate) fn answer(call: &Call) -> Answer {
    let credential = call.field("authorization").unwrap_or_default();
    if credential == REVOKED.as_bytes() {
        let challenge = br#"Bearer error="invalid_token""#;
        return Answer {
            fields: vec![(b"www-authenticate".to_vec(), challenge.to_vec())],
            ..authority::text(401, "revoked\n")
        };
    }
    authority::text(200, authority::token(credential))
}

/// One request.
pub(crate) struct Step {
    /// How the table calls it.
    pub(crate) says: String,
    /// What is sent.
    pub(crate) request: Request,
    /// What the upstream answers.
    pub(crate) answer: Answer,
    /// The status that both artefacts have to answer.
    pub(crate) status: u16,
    /// Whether the table shows the content of the answer.
    pub(crate) shows_content: bool,
    /// How often each asks the auth service.
    pub(crate) asks: usize,
    /// Whether nobody answers there.
    pub(crate) outage: bool,
}

/// The requests, in order.
pub(crate) fn script() -> Vec<Step> {
    let alice = ("authorization", ALICE);
    let carol = ("authorization", "Bearer carol");
    vec![
        step(200, "GET /public", &[]),
        step(200, "GET /public, x-user made up", &[("x-user", "mallory"), ("user-agent", "curl")]),
        step(401, "GET /private/x, nobody", &[]),
        step(200, "GET /private/x, alice", &[alice]),
        over_http2(step(200, "GET /private/x, alice, HTTP/2", &[alice])),
        step(
            200,
            "GET /private/x, alice, `basic`",
            &[("authorization", &ALICE.replace("Basic", "basic"))],
        ),
        step(200, "GET /private/x, bob, by hash", &[("authorization", "Basic Ym9iOnBhc3N3b3Jk")]),
        step(401, "GET /private/x, wrong password", &[("authorization", "Basic YWxpY2U6d3Jvbmc=")]),
        step(
            401,
            "GET /private/x, other scheme",
            &[("authorization", "Bearer YWxpY2U6d29uZGVybGFuZA==")],
        ),
        step(401, "GET /private/x, alice twice", &[alice, alice]),
        step(401, "GET /x/../%70rivate, nobody", &[]),
        step(400, "GET /private%00, alice", &[alice]),
        step(403, "GET /allowed", &[]),
        step(200, "GET /allowed, allow: true", &[("allow", "true"), ("x-secret", "1")]),
        step(200, "POST /allowed", &[]),
        over_http2(step(
            200,
            "POST /private/x.Y/Call, nobody, gRPC",
            &[("content-type", "application/grpc"), ("te", "trailers")],
        )),
        step(200, "GET /orders, nobody", &[("x-auth-jwt", "made up")]),
        asks(step(200, "GET /orders, carol", &[carol, ("x-auth-jwt", "made up")])),
        step(200, "GET /orders, carol again", &[carol]),
        step(401, "GET /orders, carol twice", &[carol, carol]),
        asks(step(401, "GET /orders, revoked", &[("authorization", REVOKED)])),
        outage(step(200, "GET /orders, carol", &[carol])),
        outage(step(503, "GET /orders, dave", &[("authorization", "Bearer dave")])),
        at("example.org", step(200, "GET /public", &[("x-secret", "1")])),
        error(404, "GET /shop/cart?id=7", "no cart \"7\""),
        error(503, "GET /shop/closed", ""),
        error(403, "GET /shop/till", ""),
    ]
}

/// `says` begins with method and path.
fn step(status: u16, says: &str, fields: &[(&str, &str)]) -> Step {
    let mut words = says.split([' ', ',']);
    let method = words.next().unwrap_or_default();
    let mut request = client::get(words.next().unwrap_or_default());
    request.method = method.into();
    let fields =
        fields.iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into()));
    request.message.fields.extend(fields);
    let (answer, shows_content) = (Answer::default(), false);
    Step { says: says.into(), request, answer, status, shows_content, asks: 0, outage: false }
}

/// Something goes wrong; if it reaches the upstream, there.
fn error(status: u16, says: &str, body: &'static str) -> Step {
    let answer = authority::text(status, body);
    Step { answer, shows_content: true, ..step(status, says, &[]) }
}

/// The auth service is asked.
fn asks(mut step: Step) -> Step {
    step.asks = 1;
    step
}

/// The auth service is down.
fn outage(mut step: Step) -> Step {
    step.says += ", auth service down";
    step.outage = true;
    step
}

fn over_http2(mut step: Step) -> Step {
    step.request.http = Http::Two;
    step
}

fn at(authority: &str, mut step: Step) -> Step {
    step.says += &format!(", {authority}");
    step.request.authority = authority.into();
    step
}
