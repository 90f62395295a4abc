//! Who runs on which core: Envoy alone on one, what drives it on the others.

use std::ffi::OsString;

use anyhow::{Result, ensure};

use crate::guard;

/// Cores, by the numbers that the kernel gives them.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    envoy: usize,
    others: Vec<usize>,
}

impl Cores {
    /// Gives Envoy the last of the cores that this process may use: the first ones serve more
    /// interrupts. An error says what is missing.
    pub(crate) async fn share() -> Result<Self> {
        let mut others = allowed();
        let envoy = others.pop().unwrap_or_default();
        ensure!(!others.is_empty(), "that takes two cores");
        let mut command = guard::command("taskset");
        command.arg("--version");
        let found = command.output().await.is_ok_and(|output| output.status.success());
        ensure!(found, "install util-linux for its taskset");
        Ok(Self { envoy, others })
    }

    /// What Envoy is started under.
    pub(crate) fn for_envoy(&self) -> Vec<OsString> {
        taskset(&[self.envoy])
    }

    /// What the load generator is started under.
    pub(crate) fn for_others(&self) -> Vec<OsString> {
        taskset(&self.others)
    }

    /// Takes the calling thread off Envoy's core.
    pub(crate) fn leave_envoy_alone(&self) -> Result<()> {
        keep_to(&self.others)
    }
}

fn taskset(cores: &[usize]) -> Vec<OsString> {
    let list: Vec<String> = cores.iter().map(usize::to_string).collect();
    ["taskset", "--cpu-list", &list.join(",")].map(OsString::from).to_vec()
}

#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn keep_to(cores: &[usize]) -> Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

#[cfg(not(target_os = "linux"))]
fn keep_to(_: &[usize]) -> Result<()> {
    Ok(())
}
