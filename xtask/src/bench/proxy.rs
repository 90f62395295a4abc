//! An Envoy with one subject in it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Child;

use super::Bench;
use super::auth::{Auth, TOKEN_FIELD};
use super::cell::{Cell, Chain};
use super::scenario::Answer;
use super::service::Service;
use crate::admin::Admin;
use crate::bootstrap::socket_address;
use crate::guard;
use crate::log::Log;
use crate::mesh::{make_empty, started};

/// Under valgrind, with ten copies of a module, Envoy takes up to a minute to start.
const START_PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(1);
const LISTENER: &str = "bench";
const CLUSTER: &str = "upstream";
const AUTH_CLUSTER: &str = "auth";
/// Where a request is answered with the token that the upstream would have got.
pub(crate) const PROOF_PATH: &str = "/proof";
/// The response field with it.
pub(crate) const PROOF_FIELD: &str = "x-proof";

/// How an Envoy is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// How many of the subject stand in the chain.
    pub(crate) copies: u32,
    /// Worker threads.
    pub(crate) workers: u32,
    /// Where requests go; without it Envoy answers them itself.
    pub(crate) upstream: Option<SocketAddr>,
    /// The program to run it under, with its arguments.
    pub(crate) under: Vec<OsString>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { copies: 1, workers: 1, upstream: None, under: Vec::new() }
    }
}

/// A running Envoy with one subject; it ends with its handle.
pub(crate) struct Proxy {
    /// Where requests are sent.
    pub(crate) address: SocketAddr,
    /// Its admin interface.
    pub(crate) admin: Admin,
    /// Its log.
    pub(crate) log: Log,
    /// Where its files are.
    pub(crate) folder: PathBuf,
    /// Its process.
    pub(crate) pid: u32,
    /// From the start of the process until it was ready.
    pub(crate) start: Duration,
    /// The auth service, where the scenario has one.
    pub(crate) auth: Option<Auth>,
    process: Child,
    _upstream: Option<Service>,
}

impl Proxy {
    /// Starts it. `purpose` keeps its files from those of other measures.
    pub(crate) async fn start(
        bench: &Bench,
        cell: &Cell<'_>,
        purpose: &str,
        setup: &Setup,
    ) -> Result<Self> {
        let folder = bench.folder.join("envoys").join(purpose).join(cell.label());
        make_empty(&folder)?;
        let chain = cell.chain(&bench.workspace, &bench.peers, setup.copies)?;
        let cores = bench.load.as_ref().and_then(|load| load.cores.clone());
        let auth = match cell.scenario.asks {
            Some(_) => Some(Auth::start(cores).await?),
            None => None,
        };
        let cores = bench.load.as_ref().and_then(|load| load.cores.clone());
        let upstream = match cell.scenario.upstreams_own().and_then(|answer| answer.body_bytes) {
            Some(bytes) => Some(Service::upstream(cores, vec![b'.'; bytes]).await?),
            None => None,
        };
        let addresses = Addresses {
            upstream: setup.upstream.or(upstream.as_ref().map(|service| service.address)),
            auth: auth.as_ref().map(Auth::address),
        };
        let config = bootstrap(chain, &cell.scenario.answer, addresses);
        let config = serde_json::to_string(&config)?;
        let file = folder.join("envoy.json");
        std::fs::write(&file, config).with_context(|| format!("writing {}", file.display()))?;
        let log = Log(folder.join("envoy.log"));
        let begun = Instant::now();
        let mut process = spawn(&bench.envoy.program, &folder, setup)?;
        let pid = process.id().context("Envoy ended at once")?;
        let admin = started(&mut process, &folder, &log, START_PATIENCE, PAUSE)
            .await
            .with_context(|| format!("starting Envoy for {cell} in {}", folder.display()))?;
        let start = begun.elapsed();
        let listeners = admin.listeners().await?;
        let address = *listeners.get(LISTENER).context("Envoy has no listener")?;
        Ok(Self { address, admin, log, folder, pid, start, auth, process, _upstream: upstream })
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.kill().await.context("ending Envoy")
    }
}

fn spawn(envoy: &Path, folder: &Path, setup: &Setup) -> Result<Child> {
    let log = std::fs::File::create(folder.join("envoy.log")).context("creating the log")?;
    let mut command = match setup.under.split_first() {
        Some((program, arguments)) => {
            let mut command = guard::command(program);
            command.args(arguments).arg(envoy);
            command
        }
        None => guard::command(envoy),
    };
    command
        .arg("--config-path")
        .arg(folder.join("envoy.json"))
        .arg("--admin-address-path")
        .arg(folder.join("admin.address"))
        .args(["--concurrency", &setup.workers.to_string(), "--disable-hot-restart"])
        .args(["--log-level", "warn"])
        // What filters log is part of what they do.
        .args(["--component-log-level", "wasm:info,dynamic_modules:info,lua:info"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().with_context(|| format!("starting {}", envoy.display()))
}

/// Where what is not Envoy listens.
#[derive(Clone, Copy)]
struct Addresses {
    upstream: Option<SocketAddr>,
    auth: Option<SocketAddr>,
}

fn bootstrap(mut chain: Chain, answers: &[Answer], addresses: Addresses) -> Value {
    let Addresses { upstream, auth } = addresses;
    if auth.is_some() {
        chain.routes.insert(0, proof_route());
    }
    let clusters = [(CLUSTER, upstream), (AUTH_CLUSTER, auth)].into_iter();
    let clusters = clusters.filter_map(|(name, address)| Some(cluster(name, address?)));
    let clusters: Vec<Value> = clusters.collect();
    json!({
        "node": {"id": "pintle", "cluster": "pintle"},
        "admin": {"address": socket_address("127.0.0.1", 0)},
        "static_resources": {"listeners": [listener(chain, answers, upstream)], "clusters": clusters},
    })
}

fn listener(chain: Chain, answers: &[Answer], upstream: Option<SocketAddr>) -> Value {
    let everywhere = answers.iter().find(|answer| answer.path.is_none());
    let (key, action) = match (upstream, everywhere) {
        (Some(_), _) => ("route", json!({"cluster": CLUSTER, "timeout": "5s"})),
        (None, Some(answer)) => ("direct_response", direct(answer.status, &answer.body)),
        (None, None) => ("direct_response", direct(200, "hello from the upstream\n")),
    };
    let mut routes = chain.routes;
    routes.push(json!({"match": {"prefix": "/"}}));
    for route in &mut routes {
        route[key] = action.clone();
    }
    let of_path = answers.iter().filter_map(|answer| Some((answer.path.as_deref()?, answer)));
    let of_path = of_path.map(|(path, answer)| {
        json!({"match": {"path": path}, "direct_response": direct(answer.status, &answer.body)})
    });
    routes.splice(0..0, of_path);
    let mut http_filters = chain.http_filters;
    http_filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    json!({
        "name": LISTENER,
        "address": socket_address("127.0.0.1", 0),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "ingress",
                "http_filters": http_filters,
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
            },
        }]}],
    })
}

fn direct(status: u16, body: &str) -> Value {
    match body.is_empty() {
        true => json!({"status": status}),
        false => json!({"status": status, "body": {"inline_string": body}}),
    }
}

/// No measured request takes this route.
fn proof_route() -> Value {
    let field = json!({"key": PROOF_FIELD, "value": format!("%REQ({TOKEN_FIELD})%")});
    json!({"match": {"path": PROOF_PATH}, "response_headers_to_add": [{"header": field}]})
}

fn cluster(name: &str, address: SocketAddr) -> Value {
    json!({
        "name": name,
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{
            "endpoint": {"address": socket_address(&address.ip().to_string(), address.port())},
        }]}]},
    })
}
