//! The forms in which a configuration reaches a filter: text, a Struct, an empty object, nothing.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::artefact::Artefact;
use crate::bootstrap::{self, Listener};
use crate::client;
use crate::envoy::Envoy;
use crate::mesh::Mesh;
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

/// Runs both artefacts with the same document in each form.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    for artefact in envoy.artefacts() {
        let place = artefact.name();
        let label = format!("documents-{place}");
        let mut mesh =
            Mesh::start(&ground.workspace, envoy, &label, &[Listener::plain("none")], &[]).await?;
        let mut form = Form { mesh: &mut mesh, ground, artefact };
        tally.record(place, "a Struct is taken as its JSON", form.structure().await);
        tally.record(place, "an empty object warns and lets all pass", form.empty().await);
        let name = match artefact {
            Artefact::Wasm => "an empty Struct is no configuration",
            Artefact::Native => "an empty Struct is an empty object",
        };
        tally.record(place, name, form.empty_structure().await);
        tally.record(place, "no configuration is refused", form.nothing().await);
        if artefact == Artefact::Wasm {
            tally.record(place, "any root_id is accepted", form.root_id().await);
        }
        mesh.alive()?;
    }
    Ok(tally)
}

struct Form<'m> {
    mesh: &'m mut Mesh,
    ground: &'m Ground,
    artefact: Artefact,
}

impl Form<'_> {
    async fn structure(&mut self) -> Result<()> {
        let document = json!({"filters": [
            {"require_header": {"header": "allow", "exact": "true", "deny": {"status": 418}}},
        ]});
        let form =
            json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": document});
        let log = self.load(|place| *place = form).await?;
        let status = self.status().await?;
        ensure!(status == 418, "the reply is {status}; the log says:\n{log}");
        Ok(())
    }

    async fn empty(&mut self) -> Result<()> {
        let log = self.load(|place| place["value"] = "{}".into()).await?;
        ensure!(log.contains("the configuration has no filters"), "no warning in:\n{log}");
        let status = self.status().await?;
        ensure!(status == 200, "the reply is {status}");
        Ok(())
    }

    /// Envoy hands proxy-wasm a Struct without fields as zero bytes, and the module as JSON.
    async fn empty_structure(&mut self) -> Result<()> {
        let form = json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": {}});
        let update = self.update(|place| *place = form, |_| {}).await?;
        let said = match self.artefact {
            Artefact::Wasm => "no configuration",
            Artefact::Native => "the configuration has no filters",
        };
        ensure!(update.log.contains(said), "the log does not say {said}:\n{}", update.log);
        let taken = self.artefact == Artefact::Native;
        ensure!(update.accepted == taken, "whether Envoy took it: {}", update.accepted);
        Ok(())
    }

    async fn nothing(&mut self) -> Result<()> {
        let update = self.update(|place| *place = Value::Null, |_| {}).await?;
        ensure!(!update.accepted, "Envoy took it");
        ensure!(
            update.log.contains("no configuration") && update.log.contains("docs/migrating.md"),
            "the log does not say so, and where to read on:\n{}",
            update.log
        );
        Ok(())
    }

    async fn root_id(&mut self) -> Result<()> {
        let update = self
            .update(
                |place| {
                    place["value"] = r#"{"filters": [{"require_header": {"header": "x"}}]}"#.into()
                },
                |filter| filter["typed_config"]["config"]["root_id"] = "my_root_id".into(),
            )
            .await?;
        ensure!(update.accepted, "Envoy refused it:\n{}", update.log);
        let status = self.status().await?;
        ensure!(status == 403, "the reply is {status}");
        Ok(())
    }

    /// Loads a configuration that Envoy must take; gives what it logged.
    async fn load(&mut self, edit: impl FnOnce(&mut Value)) -> Result<String> {
        let update = self.update(edit, |_| {}).await?;
        ensure!(update.accepted, "Envoy refused it:\n{}", update.log);
        Ok(update.log)
    }

    async fn update(
        &mut self,
        edit: impl FnOnce(&mut Value),
        edit_filter: impl FnOnce(&mut Value),
    ) -> Result<crate::mesh::Update> {
        let file = self.artefact.file(&self.ground.workspace);
        let mut filter = bootstrap::filter(self.artefact, &file, "");
        edit(match self.artefact {
            Artefact::Wasm => &mut filter["typed_config"]["config"]["configuration"],
            Artefact::Native => &mut filter["typed_config"]["filter_config"],
        });
        edit_filter(&mut filter);
        // A name of its own: an old listener of the same name would serve until it is drained.
        let name = format!("form-{}", self.mesh.updates().await?.0);
        self.mesh.update(&[Listener::new(name, vec![filter])]).await
    }

    async fn status(&self) -> Result<u16> {
        let name = format!("form-{}", self.mesh.updates().await?.0 - 1);
        Ok(self.mesh.exchange(&name, &client::get("/"), Answer::default()).await?.reply.status)
    }
}
