//! A workspace of the crates that are in the files, without what only their tests need: tools that look at
//! manifests take features that any member asks for to be on, and write beside every manifest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use toml::Table;

use crate::cargo::Workspace;
use crate::mesh::make_empty;

use super::layout;

/// The members of the workspace that are in an artefact.
const MEMBERS: [&str; 4] =
    ["core", "wasm-target", "dynamic-module-target", "dynamic-module-target/sdk"];

/// The member that is the wasm module, and its package.
pub(crate) const WASM: [&str; 2] = ["wasm-target", "pintle-wasm"];

/// The member that is the dynamic module, and its package.
pub(crate) const MODULE: [&str; 2] = ["dynamic-module-target", "pintle-dynamic-module"];

/// What a manifest says of tests and the like.
const OF_TESTS: [&str; 5] = ["bench", "dev-dependencies", "example", "lints", "test"];

/// It, in `target/package/bare`.
pub(crate) struct Bare<'w> {
    workspace: &'w Workspace,
    /// Its folder.
    pub(crate) root: PathBuf,
}

impl<'w> Bare<'w> {
    /// Makes it: manifests, and files for them to name.
    pub(crate) fn lay_out(workspace: &'w Workspace) -> Result<Self> {
        let root_folder = workspace.target.join("package/bare");
        make_empty(&root_folder)?;
        let read = |file: &Path| {
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
        };
        let mut manifest: Table =
            read(&workspace.root.join("Cargo.toml"))?.parse().context("Cargo.toml")?;
        let root = manifest.get_mut("workspace").and_then(toml::Value::as_table_mut);
        let root = root.context("Cargo.toml has no workspace")?;
        root.insert("members".into(), MEMBERS.map(toml::Value::from).to_vec().into());
        root.remove("exclude");
        layout::write(&root_folder.join("Cargo.toml"), manifest.to_string().as_bytes())?;
        let lock = read(&workspace.root.join("Cargo.lock"))?;
        layout::write(&root_folder.join("Cargo.lock"), lock.as_bytes())?;
        for member in MEMBERS {
            let from = workspace.root.join(member).join("Cargo.toml");
            let mut manifest: Table =
                read(&from)?.parse().with_context(|| format!("{}", from.display()))?;
            for member in OF_TESTS {
                manifest.remove(member);
            }
            let to = root_folder.join(member);
            make_empty(&to.join("src"))?;
            layout::write(&to.join("Cargo.toml"), manifest.to_string().as_bytes())?;
            layout::write(&to.join("src/lib.rs"), b"")?;
        }
        Ok(Self { workspace, root: root_folder })
    }

    /// What `cargo metadata` says of it for a target.
    pub(crate) async fn metadata(&self, triple: &str) -> Result<Value> {
        let mut metadata = self.workspace.cargo();
        metadata.current_dir(&self.root).args(["metadata", "--format-version", "1"]);
        metadata.args(["--filter-platform", triple]);
        let output = metadata.output().await.context("starting cargo metadata")?;
        let why = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo metadata failed: {why}");
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")
    }
}
