//! An Envoy with both artefacts to which everything happens that the dashboard and the rules ask about, set up as a
//! platform does.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::Request;
use serde_json::{Value, json};

use super::page::Page;
use super::platform::Platform;
use crate::artefact::Artefact;
use crate::authority::text;
use crate::bootstrap::{self, Listener};
use crate::client;
use crate::deploy::site::{read, until};
use crate::envoy::Envoy;
use crate::mesh::{Mesh, Setup, make_empty};
use crate::suite::Ground;
use crate::upstream::Answer;

/// A filter for each metric.
const CONFIG: &str = r#"{"filters": [
    {"problem_json": {"when": {"path": {"prefix": "/problem"}}}},
    {"require_header": {"header": "x-team", "mode": "observe", "name": "teams"}},
    {"basic_auth": {"rules": [{"when": {"path": {"prefix": "/private"}}, "credentials": ["alice:wonderland"]}]}},
    {"token_exchange": {
        "name": "exchange", "when": {"path": {"prefix": "/exchange"}},
        "cluster": "auth", "authority": "auth", "path": "/token", "timeout": "5m",
        "cache": {"ttl": "10m", "negative_ttl": "10m", "max_entries": 2, "max_waiters": 1}
    }},
    {"token_exchange": {
        "name": "stale", "when": {"path": {"prefix": "/stale"}}, "header": "x-stale-jwt",
        "cluster": "auth", "authority": "auth", "path": "/token",
        "cache": {"ttl": "1ms", "stale_if_error": "1h"}
    }}
]}"#;

/// How many these are.
const FILTERS: usize = 5;

/// A proxy-wasm module whose VM crashes at every request.
const CRASHES: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) unreachable))"#;

/// Longer than the tick of the wasm module.
const LATER: Duration = Duration::from_millis(1200);

/// Has it all happen, and gives `/stats/prometheus` to `check` until that is content.
pub(super) async fn page(
    ground: &Ground,
    envoy: &Envoy,
    platform: &Platform,
    check: impl Fn(&Page) -> Result<()>,
) -> Result<()> {
    let folder = ground.workspace.target.join(format!("xtask/monitoring-{}", envoy.version));
    make_empty(&folder)?;
    let resource = folder.join("resource.json");
    std::fs::write(&resource, discovered(ground, "{}")?).context("writing a resource")?;
    let crashes = folder.join("crashes.wasm");
    std::fs::write(&crashes, wat::parse_str(CRASHES)?).context("writing a module")?;
    let workspace = &ground.workspace;
    let mut listeners: Vec<Listener> = Artefact::ALL
        .map(|artefact| Listener::with(artefact.name(), workspace, artefact, CONFIG))
        .into();
    if !platform.has_namespace {
        for filter in listeners.iter_mut().flat_map(|listener| &mut listener.filters) {
            let module = filter["typed_config"]["dynamic_module_config"].as_object_mut();
            module.map(|module| module.remove("metrics_namespace"));
        }
    }
    let mut crashing = bootstrap::filter(Artefact::Wasm, &crashes, "");
    crashing["typed_config"]["config"]["name"] = "crashing".into();
    listeners.push(Listener::new("crashing", vec![crashing]));
    listeners.push(Listener::new("discovered", vec![discovery(&resource)]));
    let mut replaced = Listener::new("replaced", vec![stand_in()]);
    let logged = folder.join("logged");
    if let Some(labels) = &platform.access_log {
        replaced.manager.insert("access_log".into(), json!([access_log(&logged, labels)]));
    }
    listeners.push(replaced);
    let setup = Setup { stats: platform.stats.clone(), ..Setup::default() };
    let mut mesh = Mesh::start_as(workspace, envoy, "monitoring-mesh", &listeners, setup).await?;
    born_at_zero(&Page::read(&mesh.admin.page("/stats/prometheus").await?)?)?;
    for artefact in Artefact::ALL {
        decisions(&mesh, artefact.name()).await.context(artefact.name())?;
        exchanges(&mesh, artefact.name()).await.context(artefact.name())?;
    }
    crash(&mesh).await?;
    deny_all(&mesh).await?;
    if platform.access_log.is_some() {
        until(async || says_path_alone(&read(&logged)?)).await.context("the access log")?;
    }
    refuse(&mesh, ground, &listeners, &resource).await?;
    waiting(&mesh, &check).await?;
    mesh.alive()
}

/// Whether what each filter observes is there before it observes any: `increase` sees what comes after that.
fn born_at_zero(page: &Page) -> Result<()> {
    let observed = page.series().filter(|series| series.name.ends_with("_observed"));
    let values: Vec<f64> = observed.map(|series| series.value).collect();
    ensure!(values == [0.0; 2 * FILTERS], "they are {values:?}");
    Ok(())
}

async fn ask(mesh: &Mesh, at: &str, request: &Request, status: u16) -> Result<()> {
    let done = mesh.exchange(at, request, Answer::default()).await?;
    let path = &request.path;
    ensure!(done.reply.status == status, "{path}: status {}, not {status}", done.reply.status);
    Ok(())
}

fn with(path: &str, credential: &str) -> Request {
    let mut request = client::get(path);
    request.message.fields.push((b"authorization".into(), credential.into()));
    request
}

/// Allowed, denied, observed, made a problem.
async fn decisions(mesh: &Mesh, at: &str) -> Result<()> {
    ask(mesh, at, &client::get("/"), 200).await?;
    ask(mesh, at, &client::get("/private"), 401).await?;
    let failed = Answer { status: 500, ..Answer::default() };
    let done = mesh.exchange(at, &client::get("/problem"), failed).await?;
    ensure!(done.reply.status == 500, "/problem: status {}", done.reply.status);
    Ok(())
}

/// Every result of a callout, and all that a cache does.
async fn exchanges(mesh: &Mesh, at: &str) -> Result<()> {
    for credential in ["Bearer 1", "Bearer 1", "Bearer 2", "Bearer 3"] {
        ask(mesh, at, &with("/exchange", credential), 200).await?;
    }
    ask(mesh, at, &with("/stale", "Bearer 1"), 200).await?;
    mesh.authority.plan(|_| text(403, "no"));
    ask(mesh, at, &with("/exchange", "Bearer no"), 403).await?;
    ask(mesh, at, &with("/exchange", "Bearer no"), 403).await?;
    mesh.authority.plan(|_| text(500, "no"));
    ask(mesh, at, &with("/exchange", "Bearer down"), 503).await?;
    ask(mesh, at, &with("/stale", "Bearer 1"), 200).await?;
    mesh.authority.plan(|_| text(204, ""));
    ask(mesh, at, &with("/exchange", "Bearer nonsense"), 503).await?;
    mesh.authority.reset();
    Ok(())
}

/// A VM crashes, is started anew, crashes again, and has to wait.
async fn crash(mesh: &Mesh) -> Result<()> {
    tokio::time::sleep(LATER).await;
    for _ in 0..4 {
        ask(mesh, "crashing", &client::get("/"), 503).await?;
    }
    Ok(())
}

/// A request to the stand-in for a plug-in.
async fn deny_all(mesh: &Mesh) -> Result<()> {
    let mut request = client::get("/denied?secret=s3cret");
    request.message.fields.push((b"x-envoy-original-path".into(), b"/made-up".into()));
    let reply = client::send(mesh.address("replaced")?, &request).await?;
    ensure!(reply.status == 403, "status {}, not 403", reply.status);
    Ok(())
}

/// Not the query, nor what a client makes up.
fn says_path_alone(log: &str) -> Result<()> {
    let line: Value = serde_json::from_str(log.lines().next().unwrap_or_default())?;
    ensure!(line["path"] == "/denied" && line["status"] == 403, "it says {line}");
    Ok(())
}

/// Updates that are refused: of a listener, and of a filter.
async fn refuse(mesh: &Mesh, ground: &Ground, good: &[Listener], resource: &Path) -> Result<()> {
    let bad = Listener::with("bad", &ground.workspace, Artefact::Wasm, r#"{"filters": 1}"#);
    let listeners: Vec<Listener> = good.iter().cloned().chain([bad]).collect();
    let update = mesh.push(&listeners).await?;
    ensure!(!update.accepted, "Envoy took it");
    let new = resource.with_extension("new");
    std::fs::write(&new, discovered(ground, r#"{"filters": 1}"#)?).context("writing a resource")?;
    std::fs::rename(&new, resource).context("replacing a resource")
}

/// Requests wait, and one more than may, while the page is read.
async fn waiting(mesh: &Mesh, check: &impl Fn(&Page) -> Result<()>) -> Result<()> {
    mesh.authority.hold();
    let mut held = tokio::task::JoinSet::new();
    for artefact in Artefact::ALL {
        let address = mesh.address(artefact.name())?;
        for _ in 0..3 {
            held.spawn(
                async move { client::send(address, &with("/exchange", "Bearer all")).await },
            );
        }
    }
    let checked =
        until(|| async { check(&Page::read(&mesh.admin.page("/stats/prometheus").await?)?) }).await;
    mesh.authority.release();
    checked?;
    let mut statuses = Vec::new();
    while let Some(done) = held.join_next().await {
        statuses.push(done.context("a request")??.status);
    }
    statuses.sort_unstable();
    ensure!(statuses == [200, 200, 200, 200, 503, 503], "{statuses:?}");
    Ok(())
}

/// A filter whose configuration is in a file.
fn discovery(resource: &Path) -> Value {
    json!({"name": "pintle", "config_discovery": {
        "config_source": {"resource_api_version": "V3", "path_config_source": {"path": resource}},
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }})
}

/// What Istio's agent puts in the place of a plug-in that it could not fetch.
fn stand_in() -> Value {
    json!({"name": "pintle", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {},
        "rules_stat_prefix": "wasm-default-deny",
    }})
}

/// As istiod makes it of the labels of a provider.
fn access_log(file: &Path, labels: &Value) -> Value {
    json!({"name": "envoy.access_loggers.file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": file,
        "log_format": {"json_format": labels, "formatters": [{
            "name": "envoy.formatter.req_without_query",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
            },
        }]},
    }})
}

fn discovered(ground: &Ground, config: &str) -> Result<String> {
    let file = Artefact::Wasm.file(&ground.workspace);
    let filter = bootstrap::filter(Artefact::Wasm, &file, config);
    let resource = json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "pintle",
        "typed_config": filter["typed_config"],
    });
    Ok(json!({"resources": [resource]}).to_string())
}
