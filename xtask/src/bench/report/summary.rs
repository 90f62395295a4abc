//! The main table: all that matters of one scenario, a line for each subject.

use super::figures::{Figures, percentile, place};
use super::grid::{Grid, spanned};
use crate::bench::number::{MISSING, count, mib, number, shown};
use crate::bench::results::{Job, Results};
use crate::bench::subject::Subject;

/// The load at which latency is shown.
const LOAD_PERCENT: u32 = 50;

/// The table, and what it is of.
pub(super) fn text(results: &Results, job: &Job) -> String {
    let size = Figures(results).sizes(job).first().copied().flatten();
    let mut text = format!("{}\n\n{}", job.about.trim(), grid(results, job, size).markdown());
    text += "Instructions are those that the whole job adds to a request on Envoy's worker thread: \
             Envoy's own filters are counted together. CPU time is that of the whole request, \
             Envoy's own work included; memory is that of the whole process with one worker. In \
             brackets: the least and the greatest of the rounds.";
    let none = place(job, size, Subject::None);
    if let Some(alone) = Figures(results).instructions_of_none(&none) {
        text += &format!(" Envoy without a filter executes {} a request.", number(alone));
    }
    if !job.envoy_filters.is_empty() {
        text += &format!(" Envoy's own filters here: {}.", filters(job));
    }
    text + "\n\n"
}

/// A table for each size, its heading above it.
pub(super) fn terminal(results: &Results, job: &Job) -> String {
    let mut text = String::new();
    for size in Figures(results).sizes(job) {
        let grid = grid(results, job, size);
        if !grid.is_empty() {
            text += &format!("\n{}{}\n{}", job.title, sized(job, size), grid.filled().terminal());
        }
    }
    text
}

/// Which of Envoy's filters do the job.
pub(super) fn filters(job: &Job) -> String {
    let names: Vec<String> = job.envoy_filters.iter().map(|name| format!("`{name}`")).collect();
    names.join(" + ")
}

/// `, 100 rules` where a scenario has sizes.
pub(super) fn sized(job: &Job, size: Option<u32>) -> String {
    match size {
        Some(size) => {
            let what = job.varies.as_deref().unwrap_or("sizes");
            format!(", {what}: {}", count(size.into()))
        }
        None => String::new(),
    }
}

fn grid(results: &Results, job: &Job, size: Option<u32>) -> Grid {
    let figures = Figures(results);
    let at = |subject| place(job, size, subject);
    let subjects = figures.subjects(job);
    // An empty chain comes first, and has the rate of the first size only.
    let loaded = subjects.iter().rev().find_map(|s| figures.latency(&at(*s), LOAD_PERCENT));
    let loaded = loaded.map(|of| of.rate);
    let rate = loaded.map(|rate| format!(" ({}/s)", count(rate.into())));
    let mut grid = Grid::new([
        String::new(),
        "instructions per request".into(),
        "ratio to Envoy's own".into(),
        "CPU, µs per request".into(),
        format!("p50 at {LOAD_PERCENT} % load{}, µs", rate.unwrap_or_default()),
        "p99, µs".into(),
        "resident memory, MiB".into(),
    ]);
    for subject in subjects {
        let at = at(subject);
        let latency = figures.latency(&at, LOAD_PERCENT).filter(|of| Some(of.rate) == loaded);
        let p50 = latency.and_then(|of| percentile(of, |round| round.p50_us));
        let p99 = latency.and_then(|of| percentile(of, |round| round.p99_us));
        let cells = [
            shown(figures.instructions(&at)),
            shown(figures.to_envoy(&at)),
            spanned(figures.cpu_us(&at)),
            spanned(p50),
            spanned(p99),
            shown(figures.resident_bytes(&at, 1).map(mib)),
        ];
        if cells.iter().any(|cell| cell != MISSING) {
            grid.row(std::iter::once(subject.title().to_owned()).chain(cells));
        }
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::report::sample;

    #[test]
    fn a_line_for_each_subject() {
        let results = sample::results();
        let text = text(&results, &results.scenarios[0]);
        for line in [
            "| no filter | – | – | 30.0 (29.7 to 30.3) | 125 (124 to 126) | 500 (495 to 505) | 60.0 |",
            "| libpintle.so | 6,100 | 0.709 | 33.0 (32.7 to 33.3) | 128 (126 to 129) | 510 (505 to 515) | 61.0 |",
            "| pintle.wasm | 23,500 | 2.73 | – | – | – | – |",
            "| Envoy's own | 8,600 | 1.00 | 34.5 (34.2 to 34.8) | – | – | – |",
            "p50 at 50 % load (5,000/s), µs | p99, µs",
            "Envoy without a filter executes 200,000 a request.",
            "`basic_auth` + `header_mutation`.",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }
}
