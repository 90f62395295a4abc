//! What the figures are of, and how to make them again.

use super::answer;
use super::grid::Grid;
use crate::bench::number::{mib, number};
use crate::bench::results::Results;

/// The head of the report.
pub(super) fn text(results: &Results) -> String {
    let machine = &results.machine;
    let command = match results.full {
        true => "`cargo xtask bench`",
        false => {
            "part of `cargo xtask bench`: scenarios, subjects or measures were left out by choice"
        }
    };
    let memory = number(mib(machine.memory_bytes as f64) / 1024.0);
    let mut facts = Grid::new(["", ""]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("command", command.into());
    fact("date", machine.date.clone());
    if results.seconds > 0.0 {
        fact("took", format!("{} minutes", number(results.seconds / 60.0)));
    }
    fact("commit", format!("`{}`", machine.commit));
    fact("Envoy", machine.envoy.clone());
    fact("machine", format!("{}, {} cores, {memory} GiB", machine.cpu, machine.cores));
    fact("kernel", machine.kernel.clone());
    for (name, version) in &machine.tools {
        fact(name, version.lines().next().unwrap_or_default().to_owned());
    }
    format!(
        "# What each way to run a filter costs\n\n{}\
         The same jobs, done by the native module, by the wasm module and by what else Envoy offers, \
         side by side on one Envoy. How each figure is made: [README.md](README.md).\n\n{}",
        answer::text(results),
        facts.prose()
    )
}

/// Where and when, in one line.
pub(super) fn line(results: &Results) -> String {
    let machine = &results.machine;
    format!(
        "{}, commit `{}`, Envoy {}, {} cores of {}",
        machine.date, machine.commit, machine.envoy, machine.cores, machine.cpu
    )
}
