//! What a panic in a filter does to a real Envoy: on the module it costs one request, on proxy-wasm
//! the worker's VM, and what comes of that is the `failure_policy`'s to say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pintle_core::testing::corpus::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::bootstrap::{self, Listener};
use crate::cargo::Workspace;
use crate::client;
use crate::envoy::Envoy;
use crate::guard;
use crate::log::Mark;
use crate::mesh::{Exchange, Mesh};
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

/// The field, of request or response, that asks an artefact with the feature `test-panic` to panic in
/// the hook it names.
const FIELD: &str = "x-pintle-test-panic";
/// What the panic says, and nobody may read.
const MESSAGE: &str = "asked for";
const WASM_TRIPLE: &str = "wasm32-wasip1";

/// Longer than the back-off between two reloads.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// After this nothing changes any more: a reload would have come.
const LATER: Duration = Duration::from_millis(2500);

/// How many requests run at once.
const CROWD: usize = 60;

const CONFIG: &str = r#"{"filters": [
    {"basic_auth": {"rules": [{"when": {"path": {"prefix": "/private"}}, "credentials": ["alice:wonderland"]}]}},
    {"headers": {"response": [{"set": {"name": "x-by", "value": "a filter"}}]}}
]}"#;

/// Both artefacts, built with the feature that no file in `dist/` has.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let workspace = &ground.workspace;
    let mut tally = Tally::default();
    for artefact in envoy.artefacts() {
        let file = build(workspace, artefact).await?;
        let place = artefact.name();
        let shipped = artefact.file(workspace);
        tally.record(place, "no file in dist/ panics on request", without(&shipped, &file));
        let filter = bootstrap::filter(artefact, &file, CONFIG);
        match artefact {
            Artefact::Native => native(ground, envoy, "panics-module", filter, &mut tally).await?,
            Artefact::Wasm => wasm(ground, envoy, &filter, &mut tally).await?,
        }
    }
    Ok(tally)
}

/// What the other tests of the module show, for one that was built with the feature elsewhere.
pub(crate) async fn of_module(
    ground: &Ground,
    envoy: &Envoy,
    file: &Path,
    tally: &mut Tally,
) -> Result<()> {
    let filter = bootstrap::filter(Artefact::Native, file, CONFIG);
    native(ground, envoy, "panics-package", filter, tally).await
}

/// Builds an artefact with the feature, away from all others.
async fn build(workspace: &Workspace, artefact: Artefact) -> Result<PathBuf> {
    let folder = workspace.target.join("xtask/panic");
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--locked", "--features", "test-panic"]);
    cargo.arg("--target-dir").arg(&folder);
    // It is never measured.
    cargo.args(["--config", "profile.release.lto=false"]);
    cargo.args(["--config", "profile.release.codegen-units=16"]);
    match artefact {
        Artefact::Wasm => {
            cargo.args(["--package", "pintle-wasm", "--target", WASM_TRIPLE]);
            guard::succeed(cargo, "cargo build of a wasm module that panics").await?;
            let built = folder.join(WASM_TRIPLE).join("release/pintle_wasm.wasm");
            let module = std::fs::read(&built).with_context(|| built.display().to_string())?;
            let file = folder.join("pintle.wasm");
            std::fs::write(&file, pintle_cli::module::write_exports(&module)?)
                .with_context(|| format!("writing {}", file.display()))?;
            Ok(file)
        }
        Artefact::Native => {
            cargo.args(["--package", "pintle-dynamic-module"]);
            guard::succeed(cargo, "cargo build of a dynamic module that panics").await?;
            let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
            Ok(folder.join("release").join(format!("{prefix}pintle_dynamic_module{suffix}")))
        }
    }
}

/// Only one of two files knows the field.
pub(crate) fn without(shipped: &Path, panicking: &Path) -> Result<()> {
    let knows = |file: &Path| -> Result<bool> {
        let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
        Ok(bytes.windows(FIELD.len()).any(|window| window == FIELD.as_bytes()))
    };
    ensure!(knows(panicking)?, "{} does not either: nothing is tested", panicking.display());
    ensure!(!knows(shipped)?, "{} has the feature test-panic", shipped.display());
    Ok(())
}

async fn native(
    ground: &Ground,
    envoy: &Envoy,
    label: &str,
    filter: Value,
    tally: &mut Tally,
) -> Result<()> {
    let place = Artefact::Native.name();
    let listeners = [Listener::new(place, vec![filter])];
    let mut mesh = Mesh::start(&ground.workspace, envoy, label, &listeners, &[]).await?;
    for hook in ["request", "response"] {
        let name = format!("a panic in the {hook} hook costs that request");
        tally.record(place, name, contained(&mesh, place, hook).await);
    }
    let result = during_a_panic(&mesh, place, 500).await.and_then(|status| expect(status, 200));
    tally.record(place, "a panic does not touch a request that waits for its upstream", result);
    tally.record(place, "a panic does not touch requests beside it", beside(&mesh, place).await);
    tally.record(place, "what a panic says is not logged", withheld(&mesh));
    tally.record(place, "the process lives", mesh.alive());
    Ok(())
}

async fn contained(mesh: &Mesh, listener: &str, hook: &str) -> Result<()> {
    let done = send(mesh, listener, &panicking("/", hook)).await?;
    expect(done.reply.status, 500)?;
    ensure!(done.reply.body.is_empty(), "a body: {:?}", done.reply.body);
    ensure!(done.entry.details == "pintle_internal_error", "details {}", done.entry.details);
    let expected = usize::from(hook == "response");
    ensure!(done.arrivals.len() == expected, "{} at the upstream", done.arrivals.len());
    works(mesh, listener).await.context("after it")
}

/// Many requests at once, every sixth of which panics.
async fn beside(mesh: &Mesh, listener: &str) -> Result<()> {
    for (place, status) in crowd(mesh, listener, "/").await? {
        expect(status, if place % 6 == 0 { 500 } else { 200 })?;
    }
    for (place, status) in crowd(mesh, listener, "/private").await? {
        expect(status, if place % 6 == 0 { 500 } else { 401 })?;
    }
    works(mesh, listener).await
}

async fn wasm(ground: &Ground, envoy: &Envoy, filter: &Value, tally: &mut Tally) -> Result<()> {
    let place = Artefact::Wasm.name();
    let listener = |name: &str, vm: &str, policy: Option<&str>| {
        let mut filter = filter.clone();
        let config = &mut filter["typed_config"]["config"];
        config["vm_config"]["vm_id"] = json!(vm);
        config["failure_policy"] = json!(policy.unwrap_or("UNSPECIFIED"));
        Listener::new(name, vec![filter])
    };
    let listeners = [
        listener("unset", "unset", None),
        listener("closed", "closed", Some("FAIL_CLOSED")),
        listener("neighbour", "closed", Some("FAIL_OPEN")),
        listener("open", "open", Some("FAIL_OPEN")),
        listener("reload", "reload", Some("FAIL_RELOAD")),
    ];
    let mut mesh = Mesh::start(&ground.workspace, envoy, "panics-wasm", &listeners, &[]).await?;
    for name in ["unset", "closed"] {
        let title = format!("policy {name}: 503 for the request that panics and all that follow");
        tally.record(place, title, fails_closed(&mesh, name).await);
    }
    let name = "another configuration in the VM that panicked is gone with it";
    let result = send(&mesh, "neighbour", &client::get("/private")).await;
    tally.record(place, name, result.and_then(|done| expect(done.reply.status, 200)));
    let name = "FAIL_OPEN: requests that follow pass unchecked";
    tally.record(place, name, fails_open(&mesh).await);
    let name = "FAIL_RELOAD: 503 for the request that panics, and a new VM for what follows";
    tally.record(place, name, reloads(&mesh).await);
    let name = "FAIL_RELOAD: 503 while the back-off runs";
    tally.record(place, name, backs_off(&mesh).await);
    let name = "FAIL_RELOAD: a panic costs the requests that wait for their upstream";
    let result = during_a_panic(&mesh, "reload", 503).await.and_then(|status| expect(status, 503));
    tally.record(place, name, result);
    let name = "FAIL_RELOAD: no request passes unchecked while VMs come and go";
    tally.record(place, name, unpassed(&mesh).await);
    tally.record(place, "what a panic says is not logged", withheld(&mesh));
    tally.record(place, "the process lives", mesh.alive());
    Ok(())
}

async fn fails_closed(mesh: &Mesh, listener: &str) -> Result<()> {
    works(mesh, listener).await.context("before")?;
    trapped(mesh, listener, "request").await?;
    for when in ["at once", "later"] {
        let done = send(mesh, listener, &client::get("/")).await?;
        expect(done.reply.status, 503).context(when)?;
        ensure!(done.arrivals.is_empty(), "it reached the upstream {when}");
        tokio::time::sleep(LATER).await;
    }
    Ok(())
}

async fn fails_open(mesh: &Mesh) -> Result<()> {
    works(mesh, "open").await.context("before")?;
    trapped(mesh, "open", "request").await?;
    for when in ["at once", "later"] {
        // Without credentials.
        let done = send(mesh, "open", &client::get("/private")).await?;
        expect(done.reply.status, 200).context(when)?;
        ensure!(done.arrivals.len() == 1, "{} at the upstream {when}", done.arrivals.len());
        ensure!(done.reply.field("x-by").is_none(), "a filter ran {when}");
        tokio::time::sleep(LATER).await;
    }
    Ok(())
}

async fn reloads(mesh: &Mesh) -> Result<()> {
    for hook in ["request", "response"] {
        recovered(mesh).await.context("before")?;
        tokio::time::sleep(LATER).await;
        let reloads = mesh.admin.stat("wasm.pintle.vm_reload_success").await?;
        trapped(mesh, "reload", hook).await.context(hook)?;
        // The last load was long enough ago.
        works(mesh, "reload").await.with_context(|| format!("after a panic in a {hook} hook"))?;
        let now = mesh.admin.stat("wasm.pintle.vm_reload_success").await?;
        ensure!(now == reloads + 1, "{now} reloads, {reloads} before");
    }
    Ok(())
}

async fn backs_off(mesh: &Mesh) -> Result<()> {
    recovered(mesh).await.context("before")?;
    tokio::time::sleep(LATER).await;
    trapped(mesh, "reload", "request").await?;
    works(mesh, "reload").await.context("after the first")?;
    let before = mesh.admin.stat("wasm.pintle.vm_reload_backoff").await?;
    trapped(mesh, "reload", "request").await?;
    let done = send(mesh, "reload", &client::get("/")).await?;
    expect(done.reply.status, 503).context("after the second")?;
    let now = mesh.admin.stat("wasm.pintle.vm_reload_backoff").await?;
    ensure!(now > before, "no back-off is counted");
    recovered(mesh).await
}

/// Many requests without credentials, every sixth of which panics.
async fn unpassed(mesh: &Mesh) -> Result<()> {
    recovered(mesh).await.context("before")?;
    for _ in 0..3 {
        for (place, status) in crowd(mesh, "reload", "/private").await? {
            let allowed: &[u16] = if place % 6 == 0 { &[503] } else { &[401, 503] };
            ensure!(allowed.contains(&status), "status {status}, not one of {allowed:?}");
        }
        tokio::time::sleep(LATER / 4).await;
    }
    recovered(mesh).await
}

/// A request whose hook panics in wasm.
async fn trapped(mesh: &Mesh, listener: &str, hook: &str) -> Result<()> {
    let done = send(mesh, listener, &panicking("/", hook)).await?;
    expect(done.reply.status, 503)?;
    ensure!(done.reply.body.is_empty(), "a body: {:?}", done.reply.body);
    ensure!(done.entry.details.starts_with("wasm_fail_stream"), "details {}", done.entry.details);
    let expected = usize::from(hook == "response");
    ensure!(done.arrivals.len() == expected, "{} at the upstream", done.arrivals.len());
    Ok(())
}

/// Waits until the filter is back.
async fn recovered(mesh: &Mesh) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match works(mesh, "reload").await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// An error unless the filter judges requests and edits responses.
async fn works(mesh: &Mesh, listener: &str) -> Result<()> {
    for (path, status) in [("/private", 401), ("/", 200)] {
        let done = send(mesh, listener, &client::get(path)).await?;
        expect(done.reply.status, status).with_context(|| path.to_owned())?;
        ensure!(done.reply.field("x-by").is_some(), "{path}: no filter ran over the response");
    }
    Ok(())
}

/// The status of a request that waits for its upstream while another one panics, which costs that
/// one the status `cost`.
async fn during_a_panic(mesh: &Mesh, listener: &str, cost: u16) -> Result<u16> {
    let mut waiting = TcpStream::connect(mesh.address(listener)?).await?;
    let head =
        "POST / HTTP/1.1\r\nhost: example.com\r\ncontent-length: 1\r\nconnection: close\r\n\r\n";
    waiting.write_all(head.as_bytes()).await?;
    let deadline = Instant::now() + PATIENCE;
    while mesh.admin.stat("cluster.upstream.upstream_rq_active").await? == 0 {
        ensure!(Instant::now() < deadline, "it does not reach the upstream");
        tokio::time::sleep(PAUSE).await;
    }
    let done = send(mesh, listener, &panicking("/", "request")).await?;
    expect(done.reply.status, cost).context("the one that panics")?;
    waiting.write_all(b"x").await?;
    let mut reply = Vec::new();
    tokio::time::timeout(PATIENCE, waiting.read_to_end(&mut reply))
        .await
        .context("it hangs")?
        .context("reading the reply")?;
    let reply = String::from_utf8_lossy(&reply);
    let status = reply.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|status| status.parse().ok()).with_context(|| format!("reply: {reply}"))
}

/// Sends many requests at once, every sixth of which asks for a panic. Gives place and status.
async fn crowd(mesh: &Mesh, listener: &str, path: &str) -> Result<Vec<(usize, u16)>> {
    let address = mesh.address(listener)?;
    let mut requests = JoinSet::new();
    for place in 0..CROWD {
        let request = if place % 6 == 0 { panicking(path, "request") } else { client::get(path) };
        requests.spawn(async move { (place, client::send(address, &request).await) });
    }
    let mut statuses = Vec::new();
    while let Some(done) = requests.join_next().await {
        let (place, reply) = done.context("a request")?;
        statuses.push((place, reply.with_context(|| format!("request {place}"))?.status));
    }
    Ok(statuses)
}

/// That there was a panic is logged; what it said, nowhere.
fn withheld(mesh: &Mesh) -> Result<()> {
    let log = mesh.log.text_since(Mark::START)?;
    ensure!(log.contains("its message is withheld"), "no panic is logged");
    if let Some(line) = log.lines().find(|line| line.contains(MESSAGE)) {
        bail!("Envoy logs {line}");
    }
    Ok(())
}

/// Sends a request; the answer asks for a panic too, since on proxy-wasm the response hook sees
/// nothing of the request.
async fn send(mesh: &Mesh, listener: &str, request: &Request) -> Result<Exchange> {
    let mut answer = Answer::default();
    let asks = request.message.fields.iter().filter(|(name, _)| name == FIELD.as_bytes());
    answer.fields.extend(asks.cloned());
    mesh.exchange(listener, request, answer).await
}

fn panicking(path: &str, hook: &str) -> Request {
    let mut request = client::get(path);
    request.message.fields.push((FIELD.into(), hook.into()));
    request
}

fn expect(status: u16, expected: u16) -> Result<()> {
    ensure!(status == expected, "status {status}, not {expected}");
    Ok(())
}
