//! What compiles and links a package: the Rust that `rust-toolchain.toml` names, and Zig as PyPI has it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;
use crate::{guard, tools};

/// Zig is a C compiler and linker with the headers of every glibc; the other calls it for Cargo.
const REQUIREMENTS: &str = include_str!("zig.txt");

/// Both, found.
pub(crate) struct Toolchain {
    /// The folder of Rust.
    pub(crate) rust: PathBuf,
    /// Its version, such as `1.95.0`.
    pub(crate) rust_version: String,
    /// The commit that it was made of.
    pub(crate) rust_commit: String,
    /// The program `cargo-zigbuild`.
    pub(crate) zigbuild: PathBuf,
    /// The folder of Zig, with the program `zig` in it.
    pub(crate) zig: PathBuf,
    /// Where Zig keeps what it compiled.
    pub(crate) cache: PathBuf,
}

impl Toolchain {
    /// Fetches what is not there, and asks each who it is.
    pub(crate) async fn find(workspace: &Workspace) -> Result<Self> {
        let told = output(workspace, Path::new("rustc"), &["--version", "--verbose"]).await?;
        let line = |start: &str| {
            let found = told.lines().find_map(|line| line.strip_prefix(start));
            found.map(str::to_owned).with_context(|| format!("rustc does not tell its {start}"))
        };
        let rust_version = line("release: ")?;
        let wanted = rust_named();
        ensure!(
            rust_version == wanted,
            "rustc is {rust_version}, not the {wanted} of rust-toolchain.toml"
        );
        let rust = output(workspace, Path::new("rustc"), &["--print", "sysroot"]).await?;
        let home = tools::venv(workspace, "zigbuild", REQUIREMENTS).await?;
        let program = tools::installed(&home, "ziglang/zig")?;
        let found = output(workspace, &program, &["version"]).await?;
        let wanted = zig_version();
        ensure!(found == wanted, "{} is Zig {found}, not {wanted}", program.display());
        Ok(Self {
            rust: rust.into(),
            rust_version,
            rust_commit: line("commit-hash: ")?,
            zigbuild: home.join("bin/cargo-zigbuild"),
            zig: program.parent().context("no folder")?.to_owned(),
            cache: home.join("cache"),
        })
    }
}

/// The version of Rust that the workspace is built with.
fn rust_named() -> &'static str {
    include_str!("../../../rust-toolchain.toml").split('"').nth(1).unwrap_or_default()
}

/// The version that is fetched, such as `0.17.1`.
pub(crate) fn zig_version() -> &'static str {
    let (_, rest) = REQUIREMENTS.split_once("ziglang==").unwrap_or_default();
    rest.split([' ', '\n']).next().unwrap_or_default()
}

async fn output(workspace: &Workspace, program: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = guard::command(program);
    command.args(arguments).current_dir(&workspace.root).stderr(Stdio::inherit());
    let name = program.display();
    let output = command.output().await.with_context(|| format!("starting {name}"))?;
    let status = output.status;
    ensure!(status.success(), "{name} {} failed ({status})", arguments.join(" "));
    Ok(String::from_utf8(output.stdout).context("what it prints")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_where_they_are_looked_for() {
        for version in [super::zig_version(), super::rust_named()] {
            let parts: Vec<_> = version.split('.').map(str::parse::<u32>).collect();
            assert!(parts.len() == 3 && parts.iter().all(Result::is_ok), "{version}");
        }
    }
}
