//! What Envoy's worker thread spends, and what Envoy holds, as the kernel counts it.

use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of the worker threads of a process so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    let tasks = format!("/proc/{pid}/task");
    for task in std::fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
        let task = task.with_context(|| format!("reading {tasks}"))?.path();
        let read = |name: &str| std::fs::read_to_string(task.join(name)).unwrap_or_default();
        if read("comm").starts_with("wrk:") {
            // Nanoseconds on a core, nanoseconds waiting for one, time slices.
            let nanoseconds = read("schedstat");
            let nanoseconds = nanoseconds.split(' ').next().unwrap_or_default();
            sum += Duration::from_nanos(nanoseconds.parse().context("reading schedstat")?);
        }
    }
    Ok(sum)
}

/// Bytes of memory that a process holds.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).context("no Rss")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("reading Rss")?;
    Ok(kib * 1024)
}
