//! The modules that do nothing: the least that each ABI costs.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::Workspace;
use crate::guard;

const NATIVE_PACKAGE: &str = "pintle-bench-idle-module";
const WASM_SOURCE: &str = "bench/peers/idle.wat";

/// The dynamic module, a crate of this workspace.
pub(super) async fn build_native(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", NATIVE_PACKAGE]);
    guard::succeed(cargo, "cargo build of the idle dynamic module").await?;
    let (before, after) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let name = format!("{before}{}{after}", NATIVE_PACKAGE.replace('-', "_"));
    Ok(workspace.target.join("release").join(name))
}

/// The proxy-wasm module, from its text form.
pub(super) fn build_wasm(workspace: &Workspace) -> Result<PathBuf> {
    let source = workspace.root.join(WASM_SOURCE);
    let module = wat::parse_file(&source).context("assembling the idle wasm module")?;
    let folder = workspace.target.join("bench").join("peers");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let file = folder.join("idle.wasm");
    std::fs::write(&file, module).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}
