//! The artefacts, and how they are built.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pintle_cli::module::{Names, Table};
use pintle_core::testing::corpus::Engine;

use crate::cargo::Workspace;
use crate::{guard, tools};

/// Rust's target of the wasm module.
pub(crate) const WASM_TRIPLE: &str = "wasm32-wasip1";

/// What is built from this repository to be loaded into Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Artefact {
    /// `dist/pintle.wasm`, the proxy-wasm module.
    Wasm,
    /// `dist/libpintle.so`, the dynamic module.
    Native,
}

impl Artefact {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Wasm, Self::Native];

    /// The engine of the corpus that it is.
    pub(crate) const fn engine(self) -> Engine {
        match self {
            Self::Wasm => Engine::Wasm,
            Self::Native => Engine::Native,
        }
    }

    /// The name in reports, and of listeners.
    pub(crate) const fn name(self) -> &'static str {
        self.engine().name()
    }

    /// The file of it.
    pub(crate) fn file(self, workspace: &Workspace) -> PathBuf {
        workspace.dist().join(match self {
            Self::Wasm => "pintle.wasm",
            Self::Native => "libpintle.so",
        })
    }
}

/// `dist/pintle-headers.wasm`: the proxy-wasm module once more, with an export table that costs less and
/// leaves it without the content of responses.
pub(crate) fn headers_file(workspace: &Workspace) -> PathBuf {
    workspace.dist().join("pintle-headers.wasm")
}

/// Builds all of them into `dist/`.
pub(crate) async fn build(workspace: &Workspace) -> Result<()> {
    let dist = workspace.dist();
    std::fs::create_dir_all(&dist).with_context(|| format!("creating {}", dist.display()))?;
    build_wasm(workspace).await?;
    build_native(workspace).await?;
    let [wasm, native] = Artefact::ALL.map(|artefact| artefact.file(workspace));
    for file in [wasm, headers_file(workspace), native] {
        let bytes = std::fs::metadata(&file).with_context(|| format!("{}", file.display()))?.len();
        let shown = file.strip_prefix(&workspace.root).unwrap_or(&file).display();
        println!("{shown:26} {:>8.1} KiB", bytes as f64 / 1024.0);
    }
    Ok(())
}

/// The exports of a wasm file, by name.
pub(crate) fn exports(file: &Path) -> Result<Vec<String>> {
    let module = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    pintle_cli::module::exports(&module)
        .with_context(|| format!("the exports of {}", file.display()))
}

async fn build_wasm(workspace: &Workspace) -> Result<()> {
    add_target(workspace, WASM_TRIPLE).await?;
    let files =
        [(Artefact::Wasm.file(workspace), Table::Whole), (headers_file(workspace), Table::Headers)];
    let [(whole, _), (headers, _)] = &files;
    println!("building {} and {}", whole.display(), headers.display());
    let mut cargo = workspace.cargo();
    cargo.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "pintle-wasm",
        "--target",
        WASM_TRIPLE,
    ]);
    guard::succeed(cargo, "cargo build of the wasm module").await?;
    let built = workspace.target.join(WASM_TRIPLE).join("release").join("pintle_wasm.wasm");
    let bytes = std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    for (file, table) in files {
        let module = pintle_cli::module::write_exports_with(&bytes, table, Names::Keep)
            .with_context(|| format!("writing the export table of {}", built.display()))?;
        replace(&file, &module)?;
    }
    Ok(())
}

async fn build_native(workspace: &Workspace) -> Result<()> {
    println!("building {}", Artefact::Native.file(workspace).display());
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--locked", "--package", "pintle-dynamic-module"]);
    guard::succeed(cargo, "cargo build of the dynamic module").await?;
    let name = format!(
        "{}pintle_dynamic_module{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let built = workspace.target.join("release").join(name);
    let bytes = std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    replace(&Artefact::Native.file(workspace), &bytes)
}

/// Puts a new file under an old name. A running Envoy may have the old one mapped, so that one is
/// left as it is.
fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, bytes)
        .and_then(|()| std::fs::rename(&new, file))
        .with_context(|| format!("writing {}", file.display()))
}

/// Has rustup add a target if it is not there. Without rustup Cargo says what is missing.
pub(crate) async fn add_target(workspace: &Workspace, triple: &str) -> Result<()> {
    let mut list = guard::command("rustup");
    list.args(["target", "list", "--installed"]).current_dir(&workspace.root);
    let Ok(output) = list.output().await else { return Ok(()) };
    let installed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || installed.lines().any(|line| line.trim() == triple) {
        return Ok(());
    }
    println!("adding the Rust target {triple}");
    let mut add = guard::command("rustup");
    add.args(["target", "add", triple]).current_dir(&workspace.root);
    tools::fetch(add, &format!("rustup target add {triple}")).await.map(drop)
}
