//! Latency at fixed rates.

use std::collections::BTreeMap;

use super::figures::{Figures, PERCENTILES, Percentile, percentile, place, spread};
use super::grid::{Grid, spanned};
use super::summary::sized;
use crate::bench::number::{MISSING, count, range, shown};
use crate::bench::results::{Job, Latency, Results};
use crate::bench::scenario::REFERENCE;
use crate::bench::statistics::Spread;
use crate::bench::subject::Subject;

/// With less of the rate than this, a round did not keep up.
const KEPT_UP: f64 = 0.98;

/// A part for each scenario that has figures.
pub(super) fn text(results: &Results, pictures: &str) -> String {
    let parts: String = results
        .scenarios
        .iter()
        .flat_map(|job| Figures(results).sizes(job).into_iter().map(move |size| (job, size)))
        .map(|(job, size)| part(results, job, size))
        .collect();
    if parts.is_empty() {
        return "## Latency\n\nIt was not measured.\n\n".into();
    }
    let only = match results.latency.iter().all(|of| of.place.scenario == REFERENCE) {
        true => "Of the reference job only. ",
        false => "",
    };
    format!(
        "## Latency\n\n\
         {only}In µs, open loop: requests are due at a fixed rate, and latency counts from when \
         they were due, so that a stall is felt by all who had to wait for it. Load is in per cent \
         of what the slowest subject can do, so the rate is the same for all. Medians over the \
         rounds.\n\n\
         {pictures}{parts}"
    )
}

/// How many rounds of a load did not keep up, if any.
fn behind(of: &Latency) -> Option<String> {
    let due = f64::from(of.rate);
    let late =
        of.rounds.iter().filter(|round| (round.requests as f64) < KEPT_UP * due * round.seconds);
    let (late, all) = (late.count(), of.rounds.len());
    let (title, load) = (of.place.subject.title(), of.load_percent);
    (late > 0).then(|| format!("{title} at {load} %, {late} of {all}"))
}

fn part(results: &Results, job: &Job, size: Option<u32>) -> String {
    let here = || {
        let of = results.latency.iter();
        of.filter(move |of| of.place == place(job, size, of.place.subject))
    };
    // An empty chain ran beside the first size, whose rates may be others.
    let sized_alike = here().filter(|of| of.place.size == size);
    let loads: BTreeMap<u32, u32> = sized_alike.map(|of| (of.load_percent, of.rate)).collect();
    if loads.is_empty() {
        return String::new();
    }
    let figures = Figures(results);
    let capacity = capacity(results, job, size);
    let title = format!("### {}{}\n\n{capacity}", job.title, sized(job, size));
    let medians = table(figures, job, size, &loads, &PERCENTILES, |spread| {
        shown(spread.map(|spread| spread.median))
    });
    let ends = [PERCENTILES[0], PERCENTILES[2], PERCENTILES[3]];
    let spreads = table(figures, job, size, &loads, &ends, range);
    let mut text = format!("{title}{medians}Least to greatest of the rounds:\n\n{spreads}");
    let behind: Vec<String> = here()
        .filter(|of| loads.get(&of.load_percent) == Some(&of.rate))
        .filter_map(behind)
        .collect();
    if !behind.is_empty() {
        text += &format!(
            "The machine or the subject fell behind the rate, and waiting piled up, so that these \
             rounds say more of the stall than of the filter: {}.\n\n",
            behind.join("; ")
        );
    }
    let errors: Vec<String> = here()
        .filter(|of| loads.get(&of.load_percent) == Some(&of.rate))
        .filter_map(|of| {
            let errors: u64 = of.rounds.iter().map(|round| round.errors).sum();
            let all: u64 = of.rounds.iter().map(|round| round.requests).sum();
            let (subject, percent) = (of.place.subject.title(), of.load_percent);
            let (errors, all) = ((errors > 0).then(|| count(errors))?, count(all));
            Some(format!("- {subject} at {percent} %: {errors} of {all} requests went wrong\n"))
        })
        .collect();
    if !errors.is_empty() {
        text +=
            &format!("Requests that were not answered as they should be:\n\n{}\n", errors.concat());
    }
    text
}

/// What the rates are shares of.
fn capacity(results: &Results, job: &Job, size: Option<u32>) -> String {
    let mut grid = Grid::new(["", "requests/s", "Envoy's worker busy, %"]);
    for subject in Subject::ALL {
        let at = place(job, size, subject);
        if let Some(of) = results.capacity.iter().find(|of| of.place == at) {
            let busy = spread(&of.busy()).map(|spread| spread.median * 100.0);
            grid.row([subject.title().to_owned(), spanned(spread(&of.rate())), shown(busy)]);
        }
    }
    match grid.is_empty() {
        true => String::new(),
        false => format!(
            "What each can do through the upstream in a closed loop; the least of these is a load \
             of 100 %. Where the worker was not nearly always busy, the load generator and the \
             upstream were the limit.\n\n{}",
            grid.markdown()
        ),
    }
}

fn table(
    figures: Figures<'_>,
    job: &Job,
    size: Option<u32>,
    loads: &BTreeMap<u32, u32>,
    percentiles: &[Percentile],
    cell: fn(Option<Spread>) -> String,
) -> String {
    let headings = loads.iter().flat_map(|(percent, rate)| {
        percentiles.iter().enumerate().map(move |(at, (name, _))| match at {
            0 => format!("{percent} % ({}/s): {name}", count((*rate).into())),
            _ => (*name).to_owned(),
        })
    });
    let mut grid = Grid::new([String::new()].into_iter().chain(headings));
    for subject in Subject::ALL {
        let at = place(job, size, subject);
        let cells: Vec<String> = loads
            .iter()
            .flat_map(|(percent, rate)| {
                let of = figures.latency(&at, *percent).filter(|of| of.rate == *rate);
                percentiles
                    .iter()
                    .map(move |(_, figure)| cell(of.and_then(|of| percentile(of, *figure))))
            })
            .collect();
        if cells.iter().any(|cell| cell != MISSING) {
            grid.row([subject.title().to_owned()].into_iter().chain(cells));
        }
    }
    grid.markdown()
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::report::sample;

    #[test]
    fn rates_are_groups_of_columns() {
        let mut results = sample::results();
        let mut other = results.latency[0].clone();
        (other.load_percent, other.rate) = (25, 2_500);
        other.rounds[0].errors = 3;
        results.latency.push(other);
        results.capacity.push(results.throughput[0].clone());
        let text = text(&results, "");
        for line in [
            "|  | 25 % (2,500/s): p50 | p90 | p99 | p99.9 | 50 % (5,000/s): p50 | p90 | p99 | p99.9 |",
            "| no filter | 125 | 250 | 500 | 1,500 | 125 | 250 | 500 | 1,500 |",
            "| libpintle.so | – | – | – | – | 128 | 255 | 510 | 1,530 |",
            "| libpintle.so | – | – | – | 126 to 129 | 505 to 515 | 1,515 to 1,545 |",
            "- no filter at 25 %: 3 of 30,000 requests went wrong\n",
            "| no filter | 20,000 (19,802 to 20,202) | 60.0 |",
            "Of the reference job only.",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }
}
