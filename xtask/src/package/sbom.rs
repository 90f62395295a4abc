//! A bill of materials (CycloneDX 1.5) for each file: which crates are in it.
//!
//! `cargo cyclonedx` writes beside every manifest of a workspace, and takes features that only other members
//! ask for to be on. So it gets a workspace of its own, of the crates that are in the artefacts and without
//! what only their tests need.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use toml::Table;

use crate::artefact::WASM_TRIPLE;
use crate::cargo::Workspace;
use crate::mesh::make_empty;
use crate::{guard, tools};

use super::builds::Files;
use super::images::{self, Wasm};
use super::layout;
use super::origin::Origin;

const VERSION: &str = "0.5.9";

/// The members of the workspace that are in an artefact.
const MEMBERS: [&str; 4] =
    ["core", "wasm-target", "dynamic-module-target", "dynamic-module-target/sdk"];

/// What a manifest says of tests and the like.
const OF_TESTS: [&str; 5] = ["bench", "dev-dependencies", "example", "lints", "test"];

/// Writes the bills of materials of all files beside the images.
pub(crate) async fn write(
    workspace: &Workspace,
    folder: &Path,
    files: &Files,
    origin: &Origin,
) -> Result<()> {
    // Built without optimising: it is run a few times, and checks what it writes when built so.
    let program = tools::cargo_program(workspace, "cargo-cyclonedx", VERSION, &["--debug"]).await?;
    let bench = Workbench { program, root: workspace.target.join("package/sbom"), origin };
    bench.fill(workspace)?;
    let wasm = bench.describe("wasm-target", WASM_TRIPLE).await?;
    for (which, bytes) in [(Wasm::Whole, &files.wasm), (Wasm::Headers, &files.headers)] {
        write_one(folder, images::wasm_file(which), &wasm, bytes)?;
    }
    for native in &files.native {
        let bill = bench.describe("dynamic-module-target", native.platform.gnu()).await?;
        write_one(folder, &images::module_file(origin, native.platform), &bill, &native.module)?;
    }
    Ok(())
}

/// The name of a file's bill of materials, beside the images.
pub(crate) fn name(file: &str) -> String {
    let (_, name) = file.rsplit_once('/').unwrap_or(("", file));
    format!("{name}.cdx.json")
}

/// Says of which file the bill is.
fn write_one(folder: &Path, file: &str, bill: &Value, bytes: &[u8]) -> Result<()> {
    let mut bill = bill.clone();
    let subject = &mut bill["metadata"]["component"];
    subject["name"] = Path::new(file).file_name().and_then(|name| name.to_str()).into();
    subject["hashes"] = json!([{"alg": "SHA-256", "content": layout::hex(bytes)}]);
    let mut text = serde_json::to_vec_pretty(&bill).context("rendering a bill of materials")?;
    text.push(b'\n');
    layout::write(&folder.join(name(file)), &text)
}

struct Workbench<'o> {
    program: PathBuf,
    root: PathBuf,
    origin: &'o Origin,
}

impl Workbench<'_> {
    /// Makes the workspace: manifests, and files for them to name.
    fn fill(&self, workspace: &Workspace) -> Result<()> {
        make_empty(&self.root)?;
        let read = |file: &Path| {
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
        };
        let mut manifest: Table =
            read(&workspace.root.join("Cargo.toml"))?.parse().context("Cargo.toml")?;
        let root = manifest.get_mut("workspace").and_then(toml::Value::as_table_mut);
        let root = root.context("Cargo.toml has no workspace")?;
        root.insert("members".into(), MEMBERS.map(toml::Value::from).to_vec().into());
        root.remove("exclude");
        layout::write(&self.root.join("Cargo.toml"), manifest.to_string().as_bytes())?;
        let lock = read(&workspace.root.join("Cargo.lock"))?;
        layout::write(&self.root.join("Cargo.lock"), lock.as_bytes())?;
        for member in MEMBERS {
            let from = workspace.root.join(member).join("Cargo.toml");
            let mut manifest: Table =
                read(&from)?.parse().with_context(|| format!("{}", from.display()))?;
            for member in OF_TESTS {
                manifest.remove(member);
            }
            let to = self.root.join(member);
            make_empty(&to.join("src"))?;
            layout::write(&to.join("Cargo.toml"), manifest.to_string().as_bytes())?;
            layout::write(&to.join("src/lib.rs"), b"")?;
        }
        Ok(())
    }

    /// The bill of materials of one member for a target.
    async fn describe(&self, member: &str, triple: &str) -> Result<Value> {
        let mut program = guard::command(&self.program);
        program.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"]);
        program.args(["--no-build-deps", "--override-filename", "bom", "--target", triple]);
        program.arg("--manifest-path").arg(self.root.join("Cargo.toml")).current_dir(&self.root);
        // With it there is no serial number and no time of today.
        program.env("SOURCE_DATE_EPOCH", self.origin.epoch.to_string());
        guard::succeed(program, "cargo cyclonedx").await?;
        let file = self.root.join(member).join("bom.json");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        // The folder is part of the names of our own crates.
        let text = text.replace(&format!("path+file://{}/", self.root.display()), "path+file:///");
        serde_json::from_str(&text).context("reading a bill of materials")
    }
}
