//! The TOML of the corpus, and its way into the types beside it.

extern crate std;

use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::Deserialize;

use super::{
    CalloutEnd, Case, Engine, Exchange, Expect, ExpectCallout, ExpectLogs, ExpectUpstream,
    FieldLines, Http, Message, NO_CLUSTER, NOWHERE, Plan, PlannedCallout, Refusal, Request,
    Response, filler, unescape,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) defaults: Defaults,
    #[serde(default)]
    pub(super) case: Vec<RawCase>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Defaults {
    pub(super) config: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) name: String,
    config: Option<String>,
    request: Option<RawRequest>,
    repeat: Option<usize>,
    advance_ms: Option<u64>,
    #[serde(default)]
    callout: Vec<RawCallout>,
    response: Option<RawResponse>,
    expect: Option<RawExpect>,
    config_error: Option<Vec<String>>,
    config_error_lacks: Option<Vec<String>>,
    on_envoy: Option<bool>,
    only: Option<OneOrMany>,
    only_why: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(Engine),
    Many(Vec<Engine>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRequest {
    method: String,
    path: String,
    authority: String,
    http: Http,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_bytes: Option<usize>,
    chunked: bool,
    trailers: Vec<(String, String)>,
}

impl Default for RawRequest {
    fn default() -> Self {
        Self {
            method: "GET".to_string(),
            path: "/".to_string(),
            authority: "example.com".to_string(),
            http: Http::One,
            headers: Vec::new(),
            body: None,
            body_bytes: None,
            chunked: false,
            trailers: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_bytes: Option<usize>,
    chunked: bool,
    trailers: Vec<(String, String)>,
}

impl Default for RawResponse {
    fn default() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: None,
            body_bytes: None,
            chunked: false,
            trailers: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCallout {
    cluster: Option<String>,
    method: Option<String>,
    path: Option<String>,
    authority: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    absent: Vec<String>,
    body: Option<String>,
    form: Option<Vec<(String, String)>>,
    timeout_ms: Option<u32>,
    answer: Option<RawResponse>,
    fails: Option<Fails>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fails {
    Reset,
    Timeout,
    Unreachable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpect {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    absent: Vec<String>,
    body: Option<String>,
    details: Option<String>,
    upstream: Option<RawUpstream>,
    #[serde(default)]
    counters: BTreeMap<String, u64>,
    #[serde(default)]
    notes: BTreeMap<String, String>,
    #[serde(default)]
    logs: ExpectLogs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUpstream {
    #[serde(default = "yes")]
    reached: bool,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    absent: Vec<String>,
    path: Option<String>,
    body_bytes: Option<u64>,
}

fn yes() -> bool {
    true
}

impl RawCase {
    pub(super) fn compile(self, file: &str, default_config: Option<&str>) -> Result<Case, String> {
        let engines = self.engines()?;
        let repeat = self.repeat.unwrap_or(1);
        if repeat == 0 {
            return Err("`repeat` is at least 1".to_string());
        }
        if self.advance_ms.is_some() && engines != BTreeSet::from([Engine::Memory]) {
            return Err(
                "`advance_ms` wants `only = \"memory\"`: other clocks go by themselves".to_string()
            );
        }
        let config = self
            .config
            .or_else(|| default_config.map(ToString::to_string))
            .ok_or("wants `config`, here or under [defaults]")?;
        let plan = match (self.expect, self.config_error) {
            (Some(expect), None) => {
                if self.config_error_lacks.is_some() || self.on_envoy.is_some() {
                    return Err(
                        "`config_error_lacks` and `on_envoy` belong to a case with `config_error`"
                            .to_string(),
                    );
                }
                Plan::Exchange(Box::new(Exchange {
                    request: self.request.unwrap_or_default().compile()?,
                    repeat,
                    advance_ms: self.advance_ms.unwrap_or_default(),
                    callouts: self
                        .callout
                        .into_iter()
                        .map(RawCallout::compile)
                        .collect::<Result<_, _>>()?,
                    response: self.response.unwrap_or_default().compile()?,
                    expect: expect.compile()?,
                }))
            }
            (None, Some(paths)) => {
                let met =
                    self.request.is_some() || self.repeat.is_some() || !self.callout.is_empty();
                if met || self.response.is_some() {
                    return Err("a refused configuration meets no request".to_string());
                }
                if paths.is_empty() {
                    return Err("`config_error` wants a JSON path".to_string());
                }
                Plan::Refusal(Refusal {
                    paths,
                    lacks: self.config_error_lacks.unwrap_or_default(),
                    on_envoy: self.on_envoy.unwrap_or_default(),
                })
            }
            _ => return Err("wants either `expect` or `config_error`".to_string()),
        };
        Ok(Case { file: file.to_string(), name: self.name, config, engines, plan })
    }

    fn engines(&self) -> Result<BTreeSet<Engine>, String> {
        let engines = match &self.only {
            None => Engine::ALL.into(),
            Some(OneOrMany::One(engine)) => BTreeSet::from([*engine]),
            Some(OneOrMany::Many(engines)) => engines.iter().copied().collect(),
        };
        if self.only.is_some() != self.only_why.as_deref().is_some_and(|why| !why.trim().is_empty())
        {
            return Err("`only` and `only_why` go together".to_string());
        }
        if engines.is_empty() {
            return Err("`only` names no engine".to_string());
        }
        Ok(engines)
    }
}

impl RawRequest {
    fn compile(self) -> Result<Request, String> {
        Ok(Request {
            method: self.method,
            path: self.path,
            authority: self.authority,
            http: self.http,
            message: message(
                self.headers,
                self.body,
                self.body_bytes,
                self.chunked,
                self.trailers,
            )?,
        })
    }
}

impl RawResponse {
    fn compile(self) -> Result<Response, String> {
        Ok(Response {
            status: self.status,
            message: message(
                self.headers,
                self.body,
                self.body_bytes,
                self.chunked,
                self.trailers,
            )?,
        })
    }
}

impl RawCallout {
    fn compile(self) -> Result<PlannedCallout, String> {
        let end = match (self.answer, self.fails) {
            (Some(answer), None) => CalloutEnd::Answer(answer.compile()?),
            (None, Some(Fails::Reset)) => CalloutEnd::Reset,
            (None, Some(Fails::Timeout)) => CalloutEnd::Timeout,
            (None, Some(Fails::Unreachable)) => CalloutEnd::Unreachable,
            _ => return Err("a callout wants either `answer` or `fails`".to_string()),
        };
        let unreachable = end == CalloutEnd::Unreachable;
        match self.cluster.as_deref() {
            Some(NO_CLUSTER) => return Err(format!("there is no cluster {NO_CLUSTER:?}")),
            cluster if unreachable != (cluster == Some(NOWHERE)) => {
                return Err(format!(
                    "cluster {NOWHERE:?} and `fails = \"unreachable\"` go together"
                ));
            }
            _ => {}
        }
        if self.body.is_some() && self.form.is_some() {
            return Err("`body` and `form` exclude each other".to_string());
        }
        let expect = ExpectCallout {
            cluster: self.cluster,
            method: self.method,
            path: self.path,
            authority: self.authority,
            fields: fields(self.headers)?,
            absent: lower(self.absent),
            body: self.body.map(String::into_bytes),
            form: self.form,
            timeout_ms: self.timeout_ms,
        };
        Ok(PlannedCallout { expect, end })
    }
}

impl RawExpect {
    fn compile(self) -> Result<Expect, String> {
        Ok(Expect {
            status: self.status,
            fields: fields(self.headers)?,
            absent: lower(self.absent),
            body: self.body,
            details: self.details,
            upstream: self.upstream.map(RawUpstream::compile).transpose()?,
            counters: self.counters,
            notes: self.notes,
            logs: self.logs,
        })
    }
}

impl RawUpstream {
    fn compile(self) -> Result<ExpectUpstream, String> {
        let says_more = !self.headers.is_empty()
            || !self.absent.is_empty()
            || self.path.is_some()
            || self.body_bytes.is_some();
        if !self.reached && says_more {
            return Err("an upstream that is not reached sees nothing".to_string());
        }
        Ok(ExpectUpstream {
            reached: self.reached,
            fields: fields(self.headers)?,
            absent: lower(self.absent),
            path: self.path,
            body_bytes: self.body_bytes,
        })
    }
}

fn message(
    headers: Vec<(String, String)>,
    body: Option<String>,
    body_bytes: Option<usize>,
    chunked: bool,
    trailers: Vec<(String, String)>,
) -> Result<Message, String> {
    let body = match (body, body_bytes) {
        (Some(_), Some(_)) => return Err("`body` and `body_bytes` exclude each other".to_string()),
        (Some(text), None) => text.into_bytes(),
        (None, bytes) => filler(bytes.unwrap_or_default()),
    };
    let trailers = fields(trailers)?;
    // HTTP/1.1 has trailers behind chunks only.
    let chunked = chunked || !trailers.is_empty();
    Ok(Message { fields: fields(headers)?, body, chunked, trailers })
}

fn fields(lines: Vec<(String, String)>) -> Result<FieldLines, String> {
    lines
        .into_iter()
        .map(|(name, value)| match unescape(&value) {
            Ok(value) => Ok((name.to_ascii_lowercase().into_bytes(), value)),
            Err(error) => Err(format!("field {name}: {error}")),
        })
        .collect()
}

fn lower(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|n| n.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use crate::testing::corpus::{Engine, Http, Plan, parse};
    use std::format;
    use std::string::String;

    fn refused(text: &str) -> String {
        parse("f", text).err().unwrap_or_default()
    }

    #[test]
    fn defaults_stand_in() {
        let text = r#"
            [defaults]
            config = "{}"
            [[case]]
            name = "a"
            only = "memory"
            only_why = "no host has it"
            [case.request]
            http = "2"
            headers = [["X-A", 'caf\xE9']]
            body_bytes = 3
            [case.expect]
            status = 200
            [case.expect.upstream]
        "#;
        let cases = parse("f", text).unwrap_or_default();
        let [case] = cases.as_slice() else { unreachable!("one case: {cases:?}") };
        assert_eq!((case.title().as_str(), case.config.as_str()), ("f: a", "{}"));
        assert!(case.engines.iter().eq([&Engine::Memory]));
        let Plan::Exchange(exchange) = &case.plan else { unreachable!("an exchange") };
        let request = &exchange.request;
        assert_eq!(
            (request.method.as_str(), request.path.as_str(), request.http),
            ("GET", "/", Http::Two)
        );
        assert_eq!(request.message.fields, [(b"x-a".to_vec(), b"caf\xE9".to_vec())]);
        assert_eq!(request.message.body, b"!\"#");
        assert_eq!(exchange.response.status, 200);
        assert!(exchange.expect.upstream.as_ref().is_some_and(|u| u.reached));
    }

    #[test]
    fn mistakes_are_named() {
        let case = |rest: &str| refused(&format!("[[case]]\nname = 'a'\nconfig = ''\n{rest}"));
        assert!(case("surprise = 1").contains("unknown field `surprise`"));
        assert!(case("").contains("either `expect` or `config_error`"));
        assert!(case("only = 'wasm'\nexpect = {status = 200}").contains("`only_why`"));
        assert!(case("expect = {status = 200, headers = [['a', '\\q']]}").contains("field a"));
        assert!(
            case("expect = {status = 200}\nrequest = {body = '', body_bytes = 1}")
                .contains("exclude")
        );
        assert!(
            refused("[[case]]\nname = 'a'\nexpect = {status = 200}").contains("wants `config`")
        );
        let callout =
            |rest: &str| case(&format!("expect = {{status = 200}}\ncallout = [{{{rest}}}]"));
        assert!(callout("").contains("either `answer` or `fails`"));
        assert!(callout("fails = 'reset', answer = {}").contains("either `answer` or `fails`"));
        assert!(callout("fails = 'unreachable', cluster = 'auth'").contains("go together"));
        assert!(callout("answer = {}, cluster = 'nowhere'").contains("go together"));
        assert!(callout("answer = {}, cluster = 'missing'").contains("no cluster"));
        assert!(callout("answer = {}, body = '', form = []").contains("exclude"));
        assert!(case("expect = {status = 200}\nrepeat = 0").contains("at least 1"));
        assert!(case("expect = {status = 200}\nadvance_ms = 1").contains("only"));
        assert!(case("config_error = ['/a']\nrepeat = 2").contains("no request"));
        let twice = "[[case]]\nname = 'a'\nconfig = ''\nexpect = {status = 200}\n".repeat(2);
        assert!(refused(&twice).contains("another case has this name"));
    }
}
