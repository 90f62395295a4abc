//! The jobs: one file each in `bench/scenarios`; `bench/README.md` describes the form.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use pintle_core::testing::corpus;
use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::cargo::Workspace;
use crate::client;

/// The scenario that all others are understood by: the one that bounds are set for.
pub(crate) const REFERENCE: &str = "reference";

/// What stands for the number of a request.
const NUMBER: &str = "{n}";

/// A job that subjects are compared at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The name of its file, and on the command line.
    #[serde(skip)]
    pub(crate) id: String,
    /// The name in reports.
    pub(crate) title: String,
    /// What is done, in a sentence or two, for the report.
    pub(crate) about: String,
    /// What is measured; the order does not matter.
    #[serde(default = "usual_measures")]
    measures: Vec<Measure>,
    /// How many stand in one chain while instructions are counted. 1 where a second one would find
    /// another request than the first (a denial, say), or where routes do a part of the job.
    #[serde(default = "usual_copies")]
    pub(crate) copies: u32,
    /// Whether a quick run has it.
    #[serde(default)]
    pub(crate) quick: bool,
    /// Whether modules that do nothing take part.
    #[serde(default)]
    pub(crate) floors: bool,
    request: Request,
    /// What answers requests. Where none is for a path: Envoy itself, 200 with a line of text.
    #[serde(default)]
    pub(crate) answer: Vec<Answer>,
    /// What comes back where a filter ran.
    pub(crate) response: Response,
    /// What shows that a filter ran, where `response` does not.
    pub(crate) proof: Option<Proof>,
    /// How often the artefacts ask the auth service, where the job takes one. Others ask for each
    /// request.
    pub(crate) asks: Option<Asks>,
    vary: Option<Vary>,
    /// The scenario whose `config` it has, instead of one of its own.
    config_of: Option<String>,
    #[serde(default)]
    config: Configs,
}

/// Something that is measured of a subject at a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// Instructions per request, by callgrind.
    Instructions,
    /// CPU time per request, and requests per second, closed loop.
    Throughput,
    /// Latency at fixed rates, open loop.
    Latency,
    /// Resident memory, and time to load.
    Memory,
    /// Resident memory over a million requests, for the artefacts.
    Soak,
}

/// How often an auth service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asks {
    /// Once for all requests.
    Once,
    /// For each request.
    Each,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "get")]
    method: String,
    path: String,
    /// `name: value` each.
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default)]
    body: String,
}

/// What requests are answered with before a filter sees it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The path that it is for; without it, all paths that no other one is for.
    pub(crate) path: Option<String>,
    /// The status.
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// The content, if it is text.
    #[serde(default)]
    pub(crate) body: String,
    /// The length of the content in bytes, if it does not matter what it is. It comes from an
    /// upstream: Envoy's own replies are one piece, whatever their size.
    pub(crate) body_bytes: Option<usize>,
}

/// A response, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    /// The status.
    pub(crate) status: u16,
    /// `name: value` each.
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    /// The length of the content, in bytes.
    pub(crate) body_bytes: Option<usize>,
    /// What the content has in it.
    #[serde(default)]
    pub(crate) contains: Vec<String>,
}

/// What an empty chain would not do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Proof {
    /// Other requests are answered with this.
    Exchange(Vec<Exchange>),
    /// The measured request leaves this text in Envoy's log.
    Log(String),
    /// The same, but only while what filters log is logged from `debug` on.
    DebugLog(String),
    /// The token of the auth service would go upstream with the measured request.
    Token,
}

/// A request that is sent for the sake of its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    request: Request,
    /// The answer.
    pub(crate) response: Response,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vary {
    /// What there are `sizes` of.
    what: String,
    sizes: Vec<u32>,
    pintle: Option<Grow>,
    envoy: Option<Grow>,
}

/// How a configuration grows to a size.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grow {
    /// JSON pointer (RFC 6901) to a list, or to a text of lines.
    pub(crate) list: String,
    /// One item, as JSON, or one line; `{n}` stands for its number.
    pub(crate) item: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configs {
    /// Of both artefacts.
    pintle: Option<String>,
    /// Whether `dist/pintle-headers.wasm` can do it.
    #[serde(default)]
    wasm_headers: bool,
    /// `{"http_filters": [..], "routes": [..]}`.
    envoy: Option<String>,
    /// Lua source.
    lua: Option<String>,
    /// Whether the module in `bench/peers/go`, which reads the document of the artefacts, can do it.
    #[serde(default)]
    go: bool,
}

impl Scenario {
    /// Whether something is measured here.
    pub(crate) fn takes(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }

    /// The request that is measured: the first one, where they differ.
    pub(crate) fn request(&self) -> Result<corpus::Request> {
        self.numbered(0)
    }

    /// One of the requests that are measured: in the values of fields `{n}` is its number.
    pub(crate) fn numbered(&self, number: u64) -> Result<corpus::Request> {
        let mut request = self.request.render()?;
        if self.requests_differ() {
            let number = number.to_string();
            for (_, value) in &mut request.message.fields {
                *value = String::from_utf8_lossy(value).replace(NUMBER, &number).into_bytes();
            }
        }
        Ok(request)
    }

    /// Whether no two requests are alike.
    pub(crate) fn requests_differ(&self) -> bool {
        self.request.fields.iter().any(|field| field.contains(NUMBER))
    }

    /// The sizes, or one that is none.
    pub(crate) fn sizes(&self) -> Vec<Option<u32>> {
        match &self.vary {
            Some(vary) => vary.sizes.iter().copied().map(Some).collect(),
            None => vec![None],
        }
    }

    /// What the sizes count.
    pub(crate) fn varies(&self) -> Option<&str> {
        self.vary.as_ref().map(|vary| vary.what.as_str())
    }

    /// A subject's configuration at size 1.
    pub(crate) fn config(&self, subject: Subject) -> Option<&str> {
        let config = match subject {
            Subject::Native | Subject::Wasm => &self.config.pintle,
            Subject::WasmHeaders if self.config.wasm_headers => &self.config.pintle,
            Subject::Envoy => &self.config.envoy,
            Subject::Lua => &self.config.lua,
            Subject::Go if self.config.go => &self.config.pintle,
            Subject::WasmHeaders
            | Subject::Go
            | Subject::None
            | Subject::IdleNative
            | Subject::IdleWasm => &None,
        };
        config.as_deref()
    }

    /// What the measured request is answered with before a filter sees it: the status.
    pub(crate) fn plain_status(&self) -> u16 {
        let for_path = |path: Option<&str>| {
            let mut answers = self.answer.iter();
            answers.find(|answer| answer.path.as_deref() == path).map(|answer| answer.status)
        };
        for_path(Some(&self.request.path)).or_else(|| for_path(None)).unwrap_or_else(ok)
    }

    /// The answer that comes from an upstream, if any does.
    pub(crate) fn upstreams_own(&self) -> Option<&Answer> {
        self.answer.iter().find(|answer| answer.body_bytes.is_some())
    }

    /// How a subject's configuration grows.
    pub(crate) fn grow(&self, subject: Subject) -> Option<&Grow> {
        let vary = self.vary.as_ref()?;
        match subject {
            Subject::Native | Subject::Wasm | Subject::WasmHeaders | Subject::Go => {
                vary.pintle.as_ref()
            }
            Subject::Envoy => vary.envoy.as_ref(),
            _ => None,
        }
    }

    fn check(&self) -> Result<()> {
        if self.vary.as_ref().is_some_and(|vary| vary.sizes.is_empty()) {
            bail!("vary: no sizes");
        }
        if self.config == Configs::default() {
            bail!("config: nothing takes part");
        }
        let envoy = self.config.envoy.as_deref().unwrap_or("{}");
        let envoy: serde_json::Value = serde_json::from_str(envoy).context("config.envoy")?;
        let timed = self.takes(Measure::Throughput) || self.takes(Measure::Latency);
        if timed && self.requests_differ() {
            bail!("measures: the load generator cannot send requests that differ");
        }
        if matches!(self.proof, Some(Proof::Token)) && self.asks.is_none() {
            bail!("proof: there is no token without an auth service");
        }
        self.answer.iter().try_for_each(Answer::check).context("answer")?;
        let mut paths: Vec<_> = self.answer.iter().map(|answer| &answer.path).collect();
        paths.sort();
        paths.dedup();
        if paths.len() < self.answer.len() {
            bail!("answer: there are two for a path");
        }
        if !self.answer.is_empty() && self.takes(Measure::Latency) {
            bail!("measures: latency has an upstream of its own");
        }
        if self.copies > 1 && envoy.get("routes").is_some() {
            bail!("copies: {} filters would share the routes of config.envoy", self.copies);
        }
        self.request.render().context("request")?;
        if let Some(Proof::Exchange(exchanges)) = &self.proof {
            for exchange in exchanges {
                exchange.request().context("proof")?;
            }
        }
        Ok(())
    }
}

impl Answer {
    fn check(&self) -> Result<()> {
        let alike = self.path.is_none() && self.status == ok() && self.body.is_empty();
        if self.body_bytes.is_some() && !alike {
            bail!("body_bytes: the upstream answers all requests alike, with 200");
        }
        Ok(())
    }
}

impl Exchange {
    /// The request.
    pub(crate) fn request(&self) -> Result<corpus::Request> {
        self.request.render()
    }
}

impl Response {
    /// Whether a reply is like this; what it lacks otherwise.
    pub(crate) fn lacks(&self, reply: &client::Reply) -> Option<String> {
        if reply.status != self.status {
            return Some(format!("the status is {}, not {}", reply.status, self.status));
        }
        let missing = self.fields.iter().find(|field| {
            let (name, value) = split(field).unwrap_or_default();
            reply.fields.iter().all(|(n, v)| n != name.as_bytes() || v != value.as_bytes())
        });
        if let Some(missing) = missing {
            return Some(format!("there is no field {missing:?}"));
        }
        let bytes = reply.body.len();
        if let Some(expected) = self.body_bytes.filter(|expected| *expected != bytes) {
            return Some(format!("the content has {bytes} bytes, not {expected}"));
        }
        let text = String::from_utf8_lossy(&reply.body);
        let missing = self.contains.iter().find(|part| !text.contains(part.as_str()))?;
        Some(format!("the content has no {missing:?} in it"))
    }
}

impl Request {
    fn render(&self) -> Result<corpus::Request> {
        let mut request = client::get(&self.path);
        request.method = self.method.clone();
        request.message.body = self.body.clone().into();
        for field in &self.fields {
            let (name, value) = split(field).with_context(|| format!("{field:?} has no colon"))?;
            request.message.fields.push((name.into(), value.into()));
        }
        Ok(request)
    }
}

/// The scenarios, the reference job first, then by name.
pub(crate) fn read_all(workspace: &Workspace) -> Result<Vec<Scenario>> {
    read_folder(&workspace.root.join("bench/scenarios"))
}

/// Those of a folder.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Scenario>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut scenarios = Vec::new();
    for entry in entries {
        let file = entry.context("reading the scenarios")?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            scenarios.push(read(&file).with_context(|| file.display().to_string())?);
        }
    }
    share_configs(&mut scenarios)?;
    for scenario in &scenarios {
        scenario.check().with_context(|| format!("{}.toml", scenario.id))?;
    }
    scenarios.sort_by_key(|scenario| (scenario.id != REFERENCE, scenario.id.clone()));
    Ok(scenarios)
}

fn read(file: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(file).context("reading")?;
    let mut scenario: Scenario = toml::from_str(&text).context("parsing")?;
    scenario.id = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(scenario)
}

/// Gives each scenario that names another one that one's configurations.
fn share_configs(scenarios: &mut [Scenario]) -> Result<()> {
    let own = scenarios.iter().filter(|scenario| scenario.config_of.is_none());
    let own: BTreeMap<String, Configs> =
        own.map(|scenario| (scenario.id.clone(), scenario.config.clone())).collect();
    for scenario in scenarios {
        let Some(other) = &scenario.config_of else { continue };
        if scenario.config != Configs::default() {
            bail!("{}: both config and config_of", scenario.id);
        }
        let shared = own.get(other);
        scenario.config = shared
            .with_context(|| format!("{}: config_of: {other} has no config", scenario.id))?
            .clone();
    }
    Ok(())
}

fn split(field: &str) -> Option<(&str, &str)> {
    let (name, value) = field.split_once(':')?;
    Some((name, value.trim()))
}

fn usual_measures() -> Vec<Measure> {
    vec![Measure::Instructions, Measure::Throughput]
}

fn usual_copies() -> u32 {
    10
}

fn get() -> String {
    "GET".into()
}

const fn ok() -> u16 {
    200
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Scenario, Subject, read, read_folder, share_configs};

    #[test]
    fn every_file_is_a_scenario() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios");
        let scenarios = read_folder(&folder).unwrap();
        assert_eq!(scenarios[0].id, "reference");
        assert_eq!(scenarios.iter().filter(|scenario| scenario.floors).count(), 1);
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let scenario = "title = ''\nabout = ''\n[request]\npath = '/'\n[response]\nstatus = 200\n";
        let parse = |more: &str| toml::from_str::<Scenario>(&format!("{scenario}{more}"));
        parse("[config]\n").unwrap();
        for more in [
            "[config]\nrust = ''\n",
            "[config]\n[vary]\nwhat = ''\nsizes = [1]\nlua = {}\n",
            "[config]\n[proof]\nsmell = ''\n",
            "colour = ''\n[config]\n",
            "[[answer]]\ncolour = ''\n[config]\n",
        ] {
            let error = parse(more).unwrap_err().to_string();
            assert!(error.contains("unknown"), "{more}: {error}");
        }
    }

    #[test]
    fn a_config_is_shared() {
        let scenario = "title = ''\nabout = ''\n[request]\npath = '/'\n[response]\nstatus = 200\n";
        let with = |id: &str, before: &str, after: &str| {
            let text = format!("{before}{scenario}{after}");
            Scenario { id: id.into(), ..toml::from_str(&text).unwrap() }
        };
        let own = || with("one", "", "[config]\nlua = 'x'\n");
        let mut shared = [with("two", "config_of = 'one'\n", ""), own()];
        share_configs(&mut shared).unwrap();
        assert_eq!(shared[0].config(Subject::Lua), Some("x"));
        for (before, after) in [
            ("config_of = 'one'\n", "[config]\nlua = 'y'\n"),
            ("config_of = 'two'\n", ""),
            ("config_of = 'none'\n", ""),
        ] {
            let mut wrong = [own(), with("two", before, after)];
            assert!(share_configs(&mut wrong).is_err(), "{before}{after}");
        }
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = std::env::temp_dir().join(format!("pintle-scenarios-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("broken.toml"), "title = 1\n").unwrap();
        let error = read_folder(&folder).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(format!("{error:#}").contains("broken.toml"), "{error:#}");
        assert!(read(&folder).is_err());
    }
}
