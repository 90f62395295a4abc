//! Callgrind around an Envoy: it counts the instructions of each thread.
//!
//! The functions behind a figure stand in the last dump of a cell, of which the thread with the most
//! instructions is Envoy's worker: `callgrind_annotate target/bench/envoys/instructions/<cell>/callgrind.<dump>-<thread>`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::proxy::Proxy;
use crate::guard;

const VALGRIND: &str = "valgrind";

/// Talks to what runs under valgrind, and is installed with it.
const VGDB: &str = "vgdb";

/// Where valgrind and `vgdb` meet, in the folder of the Envoy.
const MEETING_PLACE: &str = "--vgdb-prefix=./vgdb";

/// Dumps are named `callgrind.<dump>-<thread>`.
const DUMPS: &str = "callgrind";

/// An order is carried out once Envoy next wakes up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to install, if something is missing.
pub(crate) async fn missing() -> Option<String> {
    for program in [VALGRIND, VGDB] {
        let mut command = guard::command(program);
        command.arg("--help");
        if !command.output().await.is_ok_and(|output| output.status.success()) {
            return Some(format!(
                "{program} does not start: install valgrind (Debian: apt-get install valgrind)"
            ));
        }
    }
    None
}

/// The command line to run Envoy under. Nothing is counted until [`count`]: Envoy starts faster so.
pub(crate) fn command_line() -> Vec<OsString> {
    let out = format!("--callgrind-out-file={DUMPS}");
    [
        VALGRIND,
        "--tool=callgrind",
        "--separate-threads=yes",
        "--instr-atstart=no",
        &out,
        MEETING_PLACE,
    ]
    .map(OsString::from)
    .into()
}

/// Has callgrind look at instructions from now on.
pub(crate) async fn count(proxy: &Proxy) -> Result<()> {
    order(proxy, &["instrumentation", "on"]).await
}

/// Sets all counts to zero.
pub(crate) async fn zero(proxy: &Proxy) -> Result<()> {
    order(proxy, &["zero"]).await
}

/// The instructions of the thread with the most since [`zero`]. Its files take the place of those of
/// the dump before.
pub(crate) async fn dump(proxy: &Proxy) -> Result<u64> {
    for file in dumps(&proxy.folder)? {
        std::fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
    }
    order(proxy, &["dump"]).await?;
    let mut most = 0;
    for file in dumps(&proxy.folder)? {
        let read = || format!("reading {}", file.display());
        let text = std::fs::read(&file).with_context(read)?;
        most = most.max(total(&String::from_utf8_lossy(&text)).with_context(read)?);
    }
    ensure!(
        most > 0,
        "callgrind has counted nothing: there is no dump in {}",
        proxy.folder.display()
    );
    Ok(most)
}

async fn order(proxy: &Proxy, words: &[&str]) -> Result<()> {
    let mut command = guard::command(VGDB);
    command
        .arg(MEETING_PLACE)
        .arg(format!("--pid={}", proxy.pid))
        .args(words)
        .current_dir(&proxy.folder);
    let words = words.join(" ");
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output =
        output.with_context(|| format!("callgrind did not {words} within {PATIENCE:?}"))?;
    let output = output.context("starting vgdb")?;
    if !output.status.success() {
        bail!("callgrind refuses to {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn dumps(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.context("reading the dumps")?;
        if is_dump(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn is_dump(name: &str) -> bool {
    name.strip_prefix(DUMPS).is_some_and(|rest| rest.starts_with('.'))
}

/// The instructions in a dump.
fn total(dump: &str) -> Result<u64> {
    let sum = dump.lines().find_map(|line| line.strip_prefix("summary:")).context("no summary")?;
    sum.trim().parse().context("a summary that is no number")
}

#[cfg(test)]
mod tests {
    use super::{is_dump, total};

    #[test]
    fn files_of_a_dump() {
        assert!(is_dump("callgrind.2-07"));
        for other in ["callgrind", "envoy.log", "vgdb-pipe-from-vgdb-to-1-by-me-on-here"] {
            assert!(!is_dump(other), "{other}");
        }
    }

    #[test]
    fn totals() {
        let dump = "events: Ir\nsummary: 42\n\nfn=(1) f\n0 37\n0 6\n\ntotals: 43\n";
        assert_eq!(total(dump).unwrap(), 42);
        assert!(total("events: Ir\n").is_err());
        assert!(total("summary: many\n").is_err());
    }
}
