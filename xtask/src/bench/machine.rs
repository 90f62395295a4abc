//! What a run ran on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::envoy::Envoy;

/// The machine, the tools, and the state of the repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    /// The day, UTC: `2026-01-31`.
    pub(crate) date: String,
    /// The commit, `-dirty` behind it if files differed from it.
    pub(crate) commit: String,
    /// The processor.
    pub(crate) cpu: String,
    /// How many cores.
    pub(crate) cores: usize,
    /// How much memory.
    pub(crate) memory_bytes: u64,
    /// The kernel.
    pub(crate) kernel: String,
    /// The version of Envoy.
    pub(crate) envoy: String,
    /// Versions of compilers and tools.
    pub(crate) tools: BTreeMap<String, String>,
}

/// Looks around.
pub(crate) async fn describe(workspace: &Workspace, envoy: &Envoy) -> Result<Machine> {
    let mut tools: BTreeMap<String, String> = BTreeMap::new();
    for (name, arguments) in
        [("rustc", ["--version"]), ("valgrind", ["--version"]), ("go", ["version"])]
    {
        if let Ok(version) = output(workspace, name, &arguments).await {
            tools.insert(name.into(), version);
        }
    }
    let commit = output(workspace, "git", &["rev-parse", "--short=10", "HEAD"]).await?;
    let changed =
        output(workspace, "git", &["status", "--porcelain", "--untracked-files=no"]).await?;
    let dirty = if changed.is_empty() { "" } else { "-dirty" };
    Ok(Machine {
        date: output(workspace, "date", &["-u", "+%F"]).await?,
        commit: format!("{commit}{dirty}"),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: memory().unwrap_or_default(),
        kernel: kernel(&output(workspace, "uname", &["-sr"]).await?),
        envoy: envoy.version.to_string(),
        tools,
    })
}

/// `Linux 6.1.0` of `Linux 6.1.0-37-amd64`: whose build it is matters little.
fn kernel(release: &str) -> String {
    release.split('-').next().unwrap_or_default().to_owned()
}

fn memory() -> Option<u64> {
    let kib = field("/proc/meminfo", "MemTotal")?;
    Some(kib.trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program prints, trimmed.
async fn output(workspace: &Workspace, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(&workspace.root)
        .output()
        .await
        .with_context(|| format!("starting {program}"))?;
    ensure!(output.status.success(), "{program} failed ({})", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
