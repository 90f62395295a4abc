//! The files that go into the images, built for other machines than this one, and so that another folder
//! and another day give the same bytes.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};
use pintle_cli::module::{Names, Table};
use tokio::process::Command;

use crate::artefact::{self, WASM_TRIPLE};
use crate::cargo::Workspace;
use crate::guard;

use super::platform::Platform;
use super::toolchain::Toolchain;

/// The newest glibc that the module may ask for, major and minor: that of Debian 11 and Ubuntu 20.04, the
/// oldest under any supported Istio, Envoy and Envoy Gateway image.
pub(crate) const GLIBC: (u32, u32) = (2, 31);

/// What was built.
pub(crate) struct Files {
    /// `pintle.wasm`.
    pub(crate) wasm: Vec<u8>,
    /// `pintle-headers.wasm`.
    pub(crate) headers: Vec<u8>,
    /// One for each platform.
    pub(crate) native: Vec<Native>,
    /// What they were built with.
    pub(crate) toolchain: Toolchain,
}

/// What is built for a platform.
#[derive(Clone)]
pub(crate) struct Native {
    /// Which.
    pub(crate) platform: Platform,
    /// `libpintle.so`.
    pub(crate) module: Vec<u8>,
    /// The program that copies it out of its image.
    pub(crate) copier: Vec<u8>,
}

/// Builds all of it.
pub(crate) async fn build(workspace: &Workspace, platforms: &[Platform]) -> Result<Files> {
    let bench = Workbench::new(workspace).await?;
    artefact::add_target(workspace, WASM_TRIPLE).await?;
    println!("building the wasm modules");
    let linked = bench.wasm().await?;
    let write = |table| pintle_cli::module::write_exports_with(&linked, table, Names::Keep);
    let (wasm, headers) = (write(Table::Whole)?, write(Table::Headers)?);
    let mut native = Vec::new();
    for &platform in platforms {
        for triple in [platform.gnu(), platform.musl()] {
            artefact::add_target(workspace, triple).await?;
        }
        println!("building the module for {}", platform.gnu());
        let module = bench.module(platform, &[]).await?;
        let copier = bench.copier(platform).await?;
        native.push(Native { platform, module, copier });
    }
    Ok(Files { wasm, headers, native, toolchain: bench.toolchain })
}

/// The module as it is packaged, but for the feature that makes it panic on request.
pub(crate) async fn panicking_module(workspace: &Workspace, platform: Platform) -> Result<Vec<u8>> {
    Workbench::new(workspace).await?.module(platform, &["--features", "test-panic"]).await
}

/// Folders of this machine that would else be part of panic messages, and the names that stand for them.
pub(crate) fn folders(workspace: &Workspace, toolchain: &Toolchain) -> Vec<(PathBuf, String)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::home_dir()?;
        Some(home.join(".cargo"))
    });
    let mut folders = vec![
        (workspace.root.clone(), "/pintle".to_owned()),
        (workspace.target.clone(), "/target".to_owned()),
    ];
    folders.extend(home.map(|home| (home, "/cargo".to_owned())));
    // Where the component rust-src is, rustc names its files; elsewhere it has a name for them.
    let sources = toolchain.rust.join("lib/rustlib/src/rust");
    folders.push((sources, format!("/rustc/{}", toolchain.rust_commit)));
    folders
}

struct Workbench<'w> {
    workspace: &'w Workspace,
    folder: PathBuf,
    flags: OsString,
    toolchain: Toolchain,
}

impl<'w> Workbench<'w> {
    /// Below `target/package`: other flags than those of `cargo xtask build` would else build everything
    /// anew each time one follows on the other.
    async fn new(workspace: &'w Workspace) -> Result<Self> {
        let toolchain = Toolchain::find(workspace).await?;
        let flags = flags(&folders(workspace, &toolchain));
        Ok(Self { workspace, folder: workspace.target.join("package"), flags, toolchain })
    }

    async fn wasm(&self) -> Result<Vec<u8>> {
        let mut cargo = self.cargo();
        cargo.args(["--package", "pintle-wasm", "--target", WASM_TRIPLE]);
        guard::succeed(cargo, "cargo build of the wasm module").await?;
        self.built(WASM_TRIPLE, "pintle_wasm.wasm")
    }

    async fn module(&self, platform: Platform, features: &[&str]) -> Result<Vec<u8>> {
        let (major, minor) = GLIBC;
        let mut cargo = self.zigbuild();
        cargo.args(["--package", "pintle-dynamic-module"]).args(features).arg("--target");
        cargo.arg(format!("{}.{major}.{minor}", platform.gnu()));
        guard::succeed(cargo, "cargo zigbuild of the dynamic module").await?;
        self.built(platform.gnu(), "libpintle_dynamic_module.so")
    }

    /// With the musl and the linker that come with Rust: Zig would compile a musl of its own first.
    async fn copier(&self, platform: Platform) -> Result<Vec<u8>> {
        let mut flags = self.flags.clone();
        flags.push("\x1f-Clinker=rust-lld\x1f-Clink-self-contained=yes");
        let mut cargo = self.cargo();
        cargo.args(["--package", "pintle-cp", "--target", platform.musl()]);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
        guard::succeed(cargo, "cargo build of the copier").await?;
        self.built(platform.musl(), "cp")
    }

    /// The program itself, with that Zig and no other: Cargo would look for a `cargo-zigbuild` among its own
    /// programs first, and that one for a `zig` on the `PATH` at last.
    fn zigbuild(&self) -> Command {
        let Toolchain { zigbuild, zig, cache, .. } = &self.toolchain;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut command = self.set_up(guard::command(zigbuild), "zigbuild");
        command.env("CARGO", cargo).env("CARGO_ZIGBUILD_ZIG_PATH", zig.join("zig"));
        for name in ["CARGO_ZIGBUILD_CACHE_DIR", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
            command.env(name, cache);
        }
        command
    }

    fn cargo(&self) -> Command {
        self.set_up(self.workspace.cargo(), "build")
    }

    fn set_up(&self, mut command: Command, verb: &str) -> Command {
        command.current_dir(&self.workspace.root);
        command.args([verb, "--release", "--locked", "--target-dir"]).arg(&self.folder);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(decides) {
                command.env_remove(name);
            }
        }
        // In the place of all other flags, which a stranger's build would not have.
        command.env("CARGO_ENCODED_RUSTFLAGS", &self.flags);
        command
    }

    fn built(&self, triple: &str, name: &str) -> Result<Vec<u8>> {
        let file = self.folder.join(triple).join("release").join(name);
        std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
    }
}

/// Whether a variable of the environment has a say in what Cargo, cargo-zigbuild and Zig make: a stranger's
/// environment would not have it.
fn decides(name: &str) -> bool {
    let starts = [
        "CARGO_BUILD_",
        "CARGO_INCREMENTAL",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "CARGO_ZIGBUILD_",
        "RUSTC",
        "ZIG_",
    ];
    let compilers = ["AR", "CC", "CFLAGS", "CXX", "CXXFLAGS", "RANLIB"];
    let bare = ["HOST_", "TARGET_"].iter().find_map(|which| name.strip_prefix(which));
    let first = bare.unwrap_or(name).split('_').next();
    name != "CARGO_BUILD_JOBS" && starts.iter().any(|start| name.starts_with(start))
        || first.is_some_and(|first| compilers.contains(&first))
}

/// Compiler flags, as Cargo takes them.
fn flags(folders: &[(PathBuf, String)]) -> OsString {
    let mut flags = OsString::new();
    for (folder, name) in folders {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::decides;

    #[test]
    fn what_a_stranger_has_not_set() {
        for name in [
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_ZIGBUILD_ZIG_COMMAND",
            "CC",
            "CC_aarch64_unknown_linux_gnu",
            "TARGET_AR",
            "RUSTC_BOOTSTRAP",
        ] {
            assert!(decides(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE", "PATH", "CCACHE_DIR"] {
            assert!(!decides(name), "{name}");
        }
    }
}
