//! Counters in `/stats/prometheus`, with labels, under the names that `docs/metrics.md` gives them.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use tokio::time::Instant;

use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::client;
use crate::envoy::Envoy;
use crate::mesh::Mesh;
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

const CONFIG: &str = r#"{"filters": [
    {"require_header": {"header": "x-team", "mode": "observe", "name": "teams"}},
    {"basic_auth": {"rules": [{"credentials": ["alice:wonderland"]}]}}
]}"#;

/// proxy-wasm counts on its tick, once a second.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// Denies one request on each artefact, and looks for what must have grown by one.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    for artefact in envoy.artefacts() {
        let place = artefact.name();
        let listener = Listener::with(place, &ground.workspace, artefact, CONFIG);
        let label = format!("metrics-{place}");
        let mut mesh = Mesh::start(&ground.workspace, envoy, &label, &[listener], &[]).await?;
        tally.record(place, "counters with labels for Prometheus", counted(&mesh, artefact).await);
        mesh.alive()?;
    }
    Ok(tally)
}

async fn counted(mesh: &Mesh, artefact: Artefact) -> Result<()> {
    let done = mesh.exchange(artefact.name(), &client::get("/"), Answer::default()).await?;
    ensure!(done.reply.status == 401, "the reply is {}", done.reply.status);
    let prefix = match artefact {
        Artefact::Wasm => "",
        Artefact::Native => "envoy_",
    };
    let expected = [
        format!(
            r#"{prefix}pintle_denied{{pintle_filter="basic_auth",pintle_reason="no_credentials"}} 1"#
        ),
        format!(r#"{prefix}pintle_observed{{pintle_filter="teams"}} 1"#),
        format!(r#"{prefix}pintle_allowed{{pintle_filter="basic_auth"}} 0"#),
    ];
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = mesh.admin.page("/stats/prometheus").await?;
        let missing = expected.iter().find(|line| !page.lines().any(|l| l == line.as_str()));
        match missing {
            None => return Ok(()),
            Some(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Some(line) => {
                let ours: Vec<&str> = page.lines().filter(|l| l.contains("pintle_")).collect();
                bail!("there is no line {line}, but:\n{}", ours.join("\n"));
            }
        }
    }
}
