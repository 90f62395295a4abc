//! The Go plug-in in `bench/peers/go`.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Result;
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::guard;

/// The first version with `go:wasmexport`: its minor number.
const OLDEST: u32 = 24;

/// Builds it. Without a Go that can, a sentence says what to install.
pub(crate) async fn build(workspace: &Workspace) -> Result<Result<PathBuf, String>> {
    let version = version(workspace).await;
    if version.as_deref().and_then(minor).is_none_or(|minor| minor < OLDEST) {
        let found = version.as_deref().unwrap_or("none");
        let install = format!("the Go plug-in: install Go 1.{OLDEST} or newer (found: {found})");
        return Ok(Err(install));
    }
    let file = workspace.target.join("bench/peers/pintle-go.wasm");
    let mut build = go(workspace);
    build
        .args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"])
        .arg("-o")
        .arg(&file)
        .arg(".");
    guard::succeed(build, "go build of the Go plug-in").await?;
    Ok(Ok(file))
}

/// What there is calls itself: `go1.24.1`.
async fn version(workspace: &Workspace) -> Option<String> {
    let output = go(workspace).args(["env", "GOVERSION"]).stderr(Stdio::null()).output().await;
    let output = output.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Fetches nothing: neither a toolchain nor, as there are none, dependencies.
fn go(workspace: &Workspace) -> Command {
    let mut go = guard::command("go");
    go.current_dir(workspace.root.join("bench/peers/go"))
        .envs([("GOTOOLCHAIN", "local"), ("GOPROXY", "off"), ("GOWORK", "off"), ("GOFLAGS", "")])
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0")]);
    go
}

/// 24 of `go1.24.1`, `go1.24rc1` and `devel go1.24-0123abc`.
fn minor(version: &str) -> Option<u32> {
    let (_, rest) = version.split_once("go1.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn versions() {
        assert_eq!(minor("go1.24"), Some(24));
        assert_eq!(minor("go1.26.8"), Some(26));
        assert_eq!(minor("go1.25rc1"), Some(25));
        assert_eq!(minor("devel go1.27-0123abc Mon Jan 5"), Some(27));
        assert_eq!(minor("go2"), None);
        assert_eq!(minor(""), None);
    }
}
