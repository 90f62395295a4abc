//! An Envoy with both artefacts to which everything happens that the dashboard and the rules ask about.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pintle_core::testing::corpus::Request;
use serde_json::{Value, json};

use super::page::Page;
use crate::artefact::Artefact;
use crate::authority::text;
use crate::bootstrap::{self, Listener};
use crate::client;
use crate::deploy::site::until;
use crate::envoy::Envoy;
use crate::mesh::{Mesh, make_empty};
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
    let mut crashing = bootstrap::filter(Artefact::Wasm, &crashes, "");
    crashing["typed_config"]["config"]["name"] = "crashing".into();
    listeners.push(Listener::new("crashing", vec![crashing]));
    listeners.push(Listener::new("discovered", vec![discovery(&resource)]));
    let mut mesh = Mesh::start(workspace, envoy, "monitoring-mesh", &listeners, &[]).await?;
    for artefact in Artefact::ALL {
        decisions(&mesh, artefact.name()).await.context(artefact.name())?;
        exchanges(&mesh, artefact.name()).await.context(artefact.name())?;
    }
    crash(&mesh).await?;
    refuse(&mesh, ground, &listeners, &resource).await?;
    waiting(&mesh, &check).await?;
    mesh.alive()
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
