//! What a running proxy does with the first configuration that has Pintle in it, if it refuses that: `docs/istio.md`
//! says which of them let requests pass then.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use super::files::File;
use super::planes;
use crate::artefact::Artefact;
use crate::bootstrap::Listener;
use crate::client;
use crate::envoy::Envoy;
use crate::mesh::{Exchange, Mesh, make_empty};
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

/// Envoy hands a new listener to its workers in its own time.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// A way to bring a filter in.
struct Way {
    file: &'static str,
    artefact: Artefact,
    /// A word of its configuration, and a wrong one.
    spoil: (&'static str, &'static str),
    what: &'static str,
    /// How requests are answered from then on.
    status: u16,
}

const WAYS: [Way; 2] = [
    Way {
        file: "istio/envoy-filter/ecds.yaml",
        artefact: Artefact::Wasm,
        spoil: ("basic_auth_rules", "basic_auth_rule"),
        what: "by ECDS, that is refused lets nobody pass",
        status: 500,
    },
    Way {
        file: "istio/module/gateway.yaml",
        artefact: Artefact::Native,
        spoil: ("\"basic_auth\"", "\"basic\""),
        what: "of the native module, that is refused changes nothing",
        status: 200,
    },
];

/// Shows each.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    files: &[File],
    tally: &mut Tally,
) -> Result<()> {
    for way in WAYS {
        let name = format!("a first configuration {}", way.what);
        if envoy.artefacts().contains(&way.artefact) && ground.wants(&name) {
            tally.record(way.artefact.name(), name, way.show(ground, envoy, files).await);
        }
    }
    Ok(())
}

impl Way {
    async fn show(&self, ground: &Ground, envoy: &Envoy, files: &[File]) -> Result<()> {
        let folder = ground.workspace.target.join("xtask/manifests-first");
        make_empty(&folder)?;
        let file = files.iter().find(|file| file.name == self.file);
        let mut file = file.with_context(|| format!("there is no {}", self.file))?.clone();
        ensure!(file.text.contains(self.spoil.0), "{} has no {}", self.file, self.spoil.0);
        file.text = file.text.replace(self.spoil.0, self.spoil.1);
        let filters = planes::given(&ground.workspace, &folder, &file.resources()?)?.filters;
        let label = format!("first-{}", self.artefact.name());
        let start = [Listener::plain("first")];
        let mut mesh = Mesh::start(&ground.workspace, envoy, &label, &start, &[]).await?;
        ensure!(ask(&mesh).await?.reply.status == 200, "nothing passes before it");
        let update = mesh.update(&[Listener::new("first", filters)]).await?;
        ensure!(update.log.contains("pintle: configuration refused:"), "it is taken");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = ask(&mesh).await?;
            let arrived = done.arrivals.len() == 1;
            if done.reply.status == self.status && arrived == (self.status == 200) {
                return mesh.alive();
            }
            let late = Instant::now() > deadline;
            ensure!(!late, "the status is {}, and arrived is {arrived}", done.reply.status);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn ask(mesh: &Mesh) -> Result<Exchange> {
    mesh.exchange("first", &client::get("/productpage"), Answer::default()).await
}
