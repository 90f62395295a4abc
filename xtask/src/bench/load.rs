//! The load generator: `oha`, found or installed, and what it reports.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pintle_core::testing::corpus;
use serde::Deserialize;

use super::cell::Cell;
use super::cores::Cores;
use super::progress::Progress;
use super::proxy::Proxy;
use super::results::Round;
use super::worker;
use crate::cargo::Workspace;
use crate::guard;

/// The version that is installed, and the first that has `--worker-threads`.
const VERSION: [u32; 3] = [1, 16, 0];

/// Connections, each with one request under way: enough that Envoy's worker always finds a request
/// to do and the next answers to write, few enough that sockets stay in the caches, and that one
/// thread can drive them.
pub(crate) const CONNECTIONS: u32 = 16;

/// For one answer. Nothing here takes as long unless it hangs.
const PATIENCE_SECONDS: u64 = 10;

/// The worker closes connections behind the last answer.
const SETTLING: Duration = Duration::from_millis(5);

/// A program that sends requests.
#[derive(Debug)]
pub(crate) struct Load {
    /// Its version.
    pub(crate) version: String,
    /// Where it runs, and where Envoy does; none where they share all cores.
    pub(crate) cores: Option<Cores>,
    program: PathBuf,
}

/// How fast, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Closed loop for about so long; ends with the last answer.
    Until(Duration),
    /// Closed loop, so many requests.
    Count(u64),
    /// Open loop: so many requests, due at a rate per second.
    Rate(u64, u32),
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Requests that came to an end, answered or not.
    pub(crate) requests: u64,
    /// Those that were not answered with the status that they should be.
    pub(crate) errors: u64,
    /// Other statuses and failures, in words.
    pub(crate) trouble: String,
    /// From the first connection to the last answer.
    pub(crate) seconds: f64,
    /// What Envoy's worker threads spent meanwhile.
    pub(crate) cpu_seconds: f64,
    /// Microseconds at the percentiles 50, 90, 99 and 99.9 of all that were answered: from when a
    /// request was sent or, in an open loop, from when it was due.
    pub(crate) percentiles_us: [f64; 4],
}

impl Load {
    /// Takes an `oha` on the `PATH` that is new enough, else the one below `target/tools`, else
    /// installs it there.
    pub(crate) async fn find(workspace: &Workspace, progress: &Progress) -> Result<Self> {
        let tools = workspace.target.join("tools");
        let ours = tools.join("bin").join("oha");
        for program in [Path::new("oha"), &ours] {
            if let Some(version) = version(program).await.filter(|version| *version >= VERSION) {
                return Ok(Self::new(program, version));
            }
        }
        let wanted = VERSION.map(|n| n.to_string()).join(".");
        progress.say(format!("installing oha {wanted} below target/tools: some minutes, once"));
        install(workspace, &tools, &wanted).await.with_context(|| {
            format!(
                "it could not be had; put an oha of version {wanted} or newer on the PATH: \
                 cargo install oha --version {wanted} --locked"
            )
        })?;
        let version = version(&ours).await.context("what was installed does not start")?;
        Ok(Self::new(&ours, version))
    }

    fn new(program: &Path, version: [u32; 3]) -> Self {
        let version = version.map(|n| n.to_string()).join(".");
        Self { version, cores: None, program: program.to_path_buf() }
    }

    /// What Envoy is started under.
    pub(crate) fn envoy_under(&self) -> Vec<OsString> {
        self.cores.as_ref().map(Cores::for_envoy).unwrap_or_default()
    }

    /// Sends the request of a cell to its proxy.
    pub(crate) async fn run(&self, cell: &Cell<'_>, proxy: &Proxy, pace: Pace) -> Result<Tally> {
        let under = self.cores.as_ref().map(Cores::for_others).unwrap_or_default();
        let mut words = under.into_iter().chain([self.program.clone().into_os_string()]);
        let mut command = guard::command(words.next().context("no program")?);
        command.args(words).args(pace.arguments()).args(arguments(&cell.scenario.request()?)?);
        command.arg(format!("http://{}{}", proxy.address, cell.scenario.request()?.path));
        let before = worker::cpu_time(proxy.pid)?;
        let started = Instant::now();
        let output = tokio::time::timeout(pace.patience(), command.output())
            .await
            .map_err(|_| anyhow!("oha did not end within {:?}", pace.patience()))?
            .context("starting oha")?;
        let ran = started.elapsed();
        tokio::time::sleep(SETTLING).await;
        let cpu_time = worker::cpu_time(proxy.pid)?.saturating_sub(before);
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "oha failed ({}): {}", output.status, errors.trim());
        let output: Output =
            serde_json::from_slice(&output.stdout).context("reading what oha reports")?;
        output.plausible(pace, ran)?;
        output.tally(status(cell), cpu_time)
    }
}

impl Pace {
    fn arguments(self) -> Vec<String> {
        let words = match self {
            Self::Until(time) => format!("-z {}ms -w", time.as_millis()),
            Self::Count(requests) => format!("-n {requests}"),
            Self::Rate(requests, rate) => format!("-n {requests} -q {rate} --latency-correction"),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    /// Longer than it may take.
    fn patience(self) -> Duration {
        let meant = match self {
            Self::Until(time) => time,
            Self::Count(_) => Duration::from_secs(60),
            Self::Rate(requests, rate) => {
                Duration::from_secs_f64(requests as f64 / f64::from(rate.max(1)))
            }
        };
        meant * 3 + Duration::from_secs(2 * PATIENCE_SECONDS)
    }
}

impl Tally {
    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// As a round of a closed loop.
    pub(crate) fn round(&self) -> Round {
        Round { requests: self.requests, seconds: self.seconds, cpu_seconds: self.cpu_seconds }
    }

    /// An error unless all was answered as it should be.
    pub(crate) fn faultless(self) -> Result<Self> {
        let (errors, requests) = (self.errors, self.requests);
        ensure!(errors == 0, "{errors} of {requests} requests went wrong: {}", self.trouble);
        Ok(self)
    }
}

/// What `oha --output-format json` writes, as far as it is read. Times are seconds.
#[derive(Debug, Deserialize)]
struct Output {
    summary: Summary,
    #[serde(rename = "latencyPercentiles")]
    percentiles: Percentiles,
    #[serde(rename = "statusCodeDistribution")]
    statuses: BTreeMap<u16, u64>,
    #[serde(rename = "errorDistribution")]
    errors: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    total: f64,
    /// Null where nothing was answered, and so are percentiles.
    average: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Percentiles {
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    #[serde(rename = "p99.9")]
    p999: Option<f64>,
}

impl Output {
    /// Its figures agree with what was asked for, with our clock, and with each other.
    fn plausible(&self, pace: Pace, ran: Duration) -> Result<()> {
        let answered: u64 = self.statuses.values().sum();
        let ended = answered + self.errors.values().sum::<u64>();
        if let Pace::Count(asked) | Pace::Rate(asked, _) = pace {
            ensure!(ended == asked, "oha was to send {asked} requests, and counts {ended}");
        }
        let (total, ran) = (self.summary.total, ran.as_secs_f64());
        ensure!(total > 0.0 && total <= ran, "oha reports {total} s, and ran for {ran} s");
        // Little's law: the mean number under way is the rate times the mean time that one takes.
        let under_way = answered as f64 * self.summary.average.unwrap_or_default() / total;
        let open = matches!(pace, Pace::Rate(..));
        let possible = open || under_way <= f64::from(CONNECTIONS) * 1.01;
        ensure!(possible, "oha reports times that make {under_way:.1} requests at once");
        Ok(())
    }

    fn tally(&self, expected: u16, cpu_time: Duration) -> Result<Tally> {
        let right = self.statuses.get(&expected).copied().unwrap_or_default();
        let failed: u64 = self.errors.values().sum();
        let requests = self.statuses.values().sum::<u64>() + failed;
        let wrong = self.statuses.iter().filter(|(status, _)| **status != expected);
        let wrong = wrong.map(|(status, count)| format!("status {status}: {count}"));
        let failures = self.errors.iter().map(|(what, count)| format!("{what}: {count}"));
        let Percentiles { p50: Some(p50), p90: Some(p90), p99: Some(p99), p999: Some(p999) } =
            self.percentiles
        else {
            bail!("nothing was answered");
        };
        Ok(Tally {
            requests,
            errors: requests - right,
            trouble: wrong.chain(failures).collect::<Vec<_>>().join(", "),
            seconds: self.summary.total,
            cpu_seconds: cpu_time.as_secs_f64(),
            percentiles_us: [p50, p90, p99, p999].map(|seconds| seconds * 1e6),
        })
    }
}

/// What the answer must have. Without a filter that denies, it is the one of Envoy or the upstream.
fn status(cell: &Cell<'_>) -> u16 {
    match cell.subject.does_the_job() {
        true => cell.scenario.response.status,
        false => cell.scenario.plain_status(),
    }
}

/// The request, in the words of the command line.
fn arguments(request: &corpus::Request) -> Result<Vec<OsString>> {
    // The path goes through a parser of URLs, which would change it.
    let dots = |segment| matches!(segment, "." | "..");
    let path = request.path.split('?').next().unwrap_or_default();
    ensure!(!path.split('/').any(dots), "{}: oha takes dot segments out of a path", request.path);
    let message = &request.message;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).context("a field or content");
    let mut words: Vec<OsString> = ["--no-tui", "--output-format", "json", "--disable-compression"]
        .into_iter()
        // One core is all it may have beside Envoy on two.
        .chain(["--worker-threads", "1", "--method", &request.method, "--host", &request.authority])
        .map(OsString::from)
        .collect();
    words.extend(["-c".into(), CONNECTIONS.to_string().into()]);
    words.extend(["-t".into(), format!("{PATIENCE_SECONDS}s").into()]);
    for (name, value) in &message.fields {
        words.push(format!("-H{}: {}", text(name)?, text(value)?).into());
    }
    if !message.body.is_empty() {
        words.push(format!("-d{}", text(&message.body)?).into());
    }
    Ok(words)
}

async fn install(workspace: &Workspace, tools: &Path, version: &str) -> Result<()> {
    let build = tools.join("build");
    let mut command = workspace.cargo();
    // With its TLS, which nothing here speaks: it does not build without.
    command.args(["install", "oha", "--version", version, "--locked"]);
    command.arg("--root").arg(tools).env("CARGO_TARGET_DIR", &build);
    let result = guard::succeed(command, "cargo install oha").await;
    if build.exists() {
        std::fs::remove_dir_all(&build).context("removing what the build left")?;
    }
    result
}

/// None unless it is an `oha` that starts.
async fn version(program: &Path) -> Option<[u32; 3]> {
    let mut command = guard::command(program);
    command.arg("--version");
    let output = command.output().await.ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// "oha 1.16.0"
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.trim().strip_prefix("oha ")?.split('.').map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some([number()?, number()?, number()?])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Output, Pace, arguments, parse_version};
    use crate::client;

    const REPORT: &str = r#"{
        "summary": {"successRate": 1.0, "total": 2.0, "average": 0.004},
        "latencyPercentiles": {"p50": 0.001, "p90": 0.002, "p99": 0.003, "p99.9": 0.004},
        "statusCodeDistribution": {"200": 997, "503": 2},
        "errorDistribution": {"timeout": 1}
    }"#;

    fn report() -> Output {
        serde_json::from_str(REPORT).unwrap()
    }

    #[test]
    fn what_did_not_go_well_is_counted() {
        let tally = report().tally(200, Duration::from_millis(1500)).unwrap();
        assert_eq!((tally.requests, tally.errors), (1000, 3));
        assert_eq!(tally.trouble, "status 503: 2, timeout: 1");
        assert_eq!(tally.percentiles_us, [1000.0, 2000.0, 3000.0, 4000.0]);
        assert_eq!((tally.rate(), tally.round().cpu_seconds), (500.0, 1.5));
        assert!(tally.faultless().is_err());
        let mut unanswered = report();
        unanswered.percentiles.p50 = None;
        assert!(unanswered.tally(200, Duration::ZERO).is_err());
    }

    #[test]
    fn reports_that_cannot_be_are_refused() {
        let plausible = |pace, seconds| report().plausible(pace, Duration::from_secs(seconds));
        plausible(Pace::Count(1000), 3).unwrap();
        assert!(plausible(Pace::Count(1001), 3).is_err());
        assert!(plausible(Pace::Rate(999, 10), 3).is_err());
        assert!(plausible(Pace::Count(1000), 1).is_err());
        let mut busy = report();
        busy.summary.average = Some(0.04);
        assert!(busy.plausible(Pace::Count(1000), Duration::from_secs(3)).is_err());
    }

    #[test]
    fn requests_become_arguments() {
        let mut request = client::get("/x?y=..");
        request.message.fields.push((b"-a".to_vec(), b"b: c".to_vec()));
        request.message.body = b"-z".to_vec();
        let words = arguments(&request).unwrap();
        assert!(words.ends_with(&["-H-a: b: c".into(), "-d-z".into()]), "{words:?}");
        assert!(arguments(&client::get("/x/../y")).is_err());
    }

    #[test]
    fn versions() {
        assert_eq!(parse_version("oha 1.16.0\n"), Some([1, 16, 0]));
        for text in ["hey 1.16.0", "oha 1.16", "oha one", ""] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }
}
