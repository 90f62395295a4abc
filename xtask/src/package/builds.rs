//! The files that go into the images, built for other machines than this one, and so that another folder
//! and another day give the same bytes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use pintle_cli::module::{Names, Table};
use tokio::process::Command;

use crate::artefact::{self, WASM_TRIPLE};
use crate::cargo::Workspace;
use crate::{guard, tools};

use super::platform::Platform;

/// The newest glibc that the module may ask for, major and minor: that of Debian 11 and Ubuntu 20.04, the
/// oldest under any supported Istio, Envoy and Envoy Gateway image.
pub(crate) const GLIBC: (u32, u32) = (2, 31);

/// Zig is a C compiler and linker with the headers of every glibc; the other calls it for Cargo.
const ZIG: &str = include_str!("zig.txt");

/// What was built.
pub(crate) struct Files {
    /// `pintle.wasm`.
    pub(crate) wasm: Vec<u8>,
    /// `pintle-headers.wasm`.
    pub(crate) headers: Vec<u8>,
    /// One for each platform.
    pub(crate) native: Vec<Native>,
}

/// What is built for a platform.
pub(crate) struct Native {
    /// Which.
    pub(crate) platform: Platform,
    /// `libpintle.so`.
    pub(crate) module: Vec<u8>,
    /// The program that copies it out of its image.
    pub(crate) copier: Vec<u8>,
}

/// Builds all of it below `target/package`: other flags than those of `cargo xtask build` would else build
/// everything anew each time one follows on the other.
pub(crate) async fn build(workspace: &Workspace, platforms: &[Platform]) -> Result<Files> {
    let bench = Workbench {
        workspace,
        folder: workspace.target.join("package"),
        flags: flags(workspace).await?,
        zig: tools::venv(workspace, "zigbuild", ZIG).await?,
    };
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
        let module = bench.module(platform).await?;
        let copier = bench.copier(platform).await?;
        native.push(Native { platform, module, copier });
    }
    Ok(Files { wasm, headers, native })
}

/// Folders of this machine that would else be part of panic messages, and the names that stand for them.
pub(crate) async fn folders(workspace: &Workspace) -> Result<Vec<(PathBuf, String)>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::home_dir()?;
        Some(home.join(".cargo"))
    });
    let sysroot = rustc(workspace, &["--print", "sysroot"]).await?;
    let version = rustc(workspace, &["--version", "--verbose"]).await?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let mut folders = vec![
        (workspace.root.clone(), "/pintle".to_owned()),
        (workspace.target.clone(), "/target".to_owned()),
    ];
    folders.extend(home.map(|home| (home, "/cargo".to_owned())));
    // Where the component rust-src is, rustc names its files; elsewhere it has a name for them.
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust");
    folders.push((sources, format!("/rustc/{}", commit.context("rustc names no commit")?)));
    Ok(folders)
}

struct Workbench<'w> {
    workspace: &'w Workspace,
    folder: PathBuf,
    flags: OsString,
    zig: PathBuf,
}

impl Workbench<'_> {
    async fn wasm(&self) -> Result<Vec<u8>> {
        let mut cargo = self.cargo("build");
        cargo.args(["--package", "pintle-wasm", "--target", WASM_TRIPLE]);
        guard::succeed(cargo, "cargo build of the wasm module").await?;
        self.built(WASM_TRIPLE, "pintle_wasm.wasm")
    }

    async fn module(&self, platform: Platform) -> Result<Vec<u8>> {
        let (major, minor) = GLIBC;
        let mut cargo = self.zigbuild()?;
        cargo.args(["--package", "pintle-dynamic-module", "--target"]);
        cargo.arg(format!("{}.{major}.{minor}", platform.gnu()));
        guard::succeed(cargo, "cargo zigbuild of the dynamic module").await?;
        self.built(platform.gnu(), "libpintle_dynamic_module.so")
    }

    /// With the musl and the linker that come with Rust: Zig would compile a musl of its own first.
    async fn copier(&self, platform: Platform) -> Result<Vec<u8>> {
        let mut flags = self.flags.clone();
        flags.push("\x1f-Clinker=rust-lld\x1f-Clink-self-contained=yes");
        let mut cargo = self.cargo("build");
        cargo.args(["--package", "pintle-cp", "--target", platform.musl()]);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags);
        guard::succeed(cargo, "cargo build of the copier").await?;
        self.built(platform.musl(), "cp")
    }

    fn zigbuild(&self) -> Result<Command> {
        let mut cargo = self.cargo("zigbuild");
        let mut path = vec![self.zig.join("bin")];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        cargo.env("PATH", std::env::join_paths(path).context("the PATH")?);
        for cache in ["CARGO_ZIGBUILD_CACHE_DIR", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
            cargo.env(cache, self.zig.join("cache"));
        }
        Ok(cargo)
    }

    fn cargo(&self, verb: &str) -> Command {
        let mut cargo = self.workspace.cargo();
        cargo.args([verb, "--release", "--locked", "--target-dir"]).arg(&self.folder);
        // In the place of all other flags, which a stranger's build would not have.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", &self.flags);
        cargo
    }

    fn built(&self, triple: &str, name: &str) -> Result<Vec<u8>> {
        let file = self.folder.join(triple).join("release").join(name);
        std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
    }
}

/// Compiler flags, as Cargo takes them.
async fn flags(workspace: &Workspace) -> Result<OsString> {
    let mut flags = OsString::new();
    for (folder, name) in folders(workspace).await? {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(folder);
        flags.push("=");
        flags.push(name);
    }
    Ok(flags)
}

async fn rustc(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    let mut rustc = guard::command("rustc");
    rustc.args(arguments).current_dir(&workspace.root).stderr(Stdio::inherit());
    let output = rustc.output().await.context("starting rustc")?;
    ensure!(output.status.success(), "rustc {} failed ({})", arguments.join(" "), output.status);
    Ok(String::from_utf8(output.stdout).context("what rustc prints")?.trim().to_owned())
}
