//! Resident memory, time to load, file sizes, and memory over many requests.

use std::collections::BTreeSet;

use super::figures::{Figures, place, spread, with};
use super::grid::Grid;
use super::summary::sized;
use crate::bench::number::{MISSING, count, kib, mib, number, range, shown};
use crate::bench::results::{Job, Place, Results};
use crate::bench::subject::Subject;

/// The part about memory.
pub(super) fn text(results: &Results, pictures: &str) -> String {
    let parts: String = results
        .scenarios
        .iter()
        .flat_map(|job| Figures(results).sizes(job).into_iter().map(move |size| (job, size)))
        .map(|(job, size)| part(results, job, size))
        .collect();
    let body = if parts.is_empty() { "It was not measured.\n\n".to_owned() } else { parts };
    format!("## Memory\n\n{pictures}{body}{}", soak(results))
}

fn part(results: &Results, job: &Job, size: Option<u32>) -> String {
    let here = results.memory.iter();
    let here = here.filter(|of| of.place.scenario == job.id && of.place.size == size);
    let workers: BTreeSet<u32> = here.map(|of| of.workers).collect();
    let headings = workers.iter().map(|n| match n {
        1 => "1 worker, MiB".to_owned(),
        n => format!("{n} workers, MiB"),
    });
    let others = ["start, ms", "least to greatest", "file, KiB"].map(str::to_owned);
    let mut grid = Grid::new([String::new()].into_iter().chain(headings).chain(others));
    for subject in Subject::ALL {
        let at = place(job, size, subject);
        let resident: Vec<String> =
            workers.iter().map(|workers| resident(Figures(results), &at, *workers)).collect();
        if resident.iter().all(|cell| cell == MISSING) {
            continue;
        }
        let first = workers.first().and_then(|workers| Figures(results).memory(&at, *workers));
        let start = first.and_then(|of| spread(&of.start_ms));
        let file = results.file_bytes.get(&subject).map(|bytes| kib(*bytes as f64));
        let others = [shown(start.map(|spread| spread.median)), range(start), shown(file)];
        grid.row([subject.title().to_owned()].into_iter().chain(resident).chain(others));
    }
    match grid.is_empty() {
        true => String::new(),
        false => format!(
            "### {}{}\n\n\
             Resident set of Envoy after warm-up, one subject in its chain; in brackets what it is \
             more than without a filter. Start: from the start of the process to the first answer, \
             one worker or the least there was.\n\n{}",
            job.title,
            sized(job, size),
            grid.markdown()
        ),
    }
}

fn resident(figures: Figures<'_>, at: &Place, workers: u32) -> String {
    let Some(bytes) = figures.resident_bytes(at, workers) else { return MISSING.into() };
    let none = figures.resident_bytes(&with(at, Subject::None), workers);
    match none.filter(|_| at.subject != Subject::None) {
        Some(none) => {
            // No minus before a zero.
            let more = (mib(bytes - none) * 10.0).round() / 10.0 + 0.0;
            format!("{} ({more:+.1})", number(mib(bytes)))
        }
        None => number(mib(bytes)),
    }
}

fn soak(results: &Results) -> String {
    if results.soak.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new([
        "",
        "scenario",
        "requests",
        "of them after warm-up",
        "at the end, MiB",
        "growth after warm-up, KiB",
        "bytes per request",
    ]);
    for of in &results.soak {
        let last = of.points.last();
        let growth = of.growth();
        grid.row([
            of.place.subject.title().to_owned(),
            of.place.scenario.clone(),
            last.map_or_else(|| MISSING.into(), |point| count(point.requests)),
            growth.map_or_else(|| MISSING.into(), |(_, requests)| count(requests)),
            shown(last.map(|point| mib(point.resident_bytes as f64))),
            shown(growth.map(|(bytes, _)| kib(bytes))),
            shown(growth.map(|(bytes, requests)| bytes / requests as f64)),
        ]);
    }
    format!("### Over many requests\n\n{}", grid.markdown())
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::report::sample;

    #[test]
    fn resident_sets_and_growth() {
        let text = text(&sample::results(), "");
        for line in [
            "|  | 1 worker, MiB | start, ms | least to greatest | file, KiB |",
            "| no filter | 60.0 | 81.0 | 80.0 to 90.0 | – |",
            "| libpintle.so | 61.0 (+1.0) | 81.0 | 80.0 to 90.0 | 900 |",
            "| libpintle.so | reference | 1,000,000 | 800,000 | 60.5 | 510 | 0.653 |",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }
}
