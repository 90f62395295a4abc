//! The figures of each scenario.

use std::collections::BTreeMap;

use super::figures::{Figures, place};
use super::grid::{Grid, spanned};
use super::summary::filters;
use crate::bench::number::{MISSING, count, number, shown};
use crate::bench::results::{Job, Place, Results, Throughput};
use crate::bench::subject::Subject;

/// A part for each scenario.
pub(super) fn text(results: &Results, pictures: &str) -> String {
    let parts: String = results.scenarios.iter().map(|job| part(results, job)).collect();
    format!(
        "## By scenario\n\n\
         Medians; where a job has one size, with least to greatest over the rounds in brackets if \
         these differ. Ratios of times are taken round by round. Below 1 is less than the other. \
         Instructions are for the whole job: Envoy's own filters are counted together. Of several \
         sizes, the chain without a filter ran beside the first only: at the others, ratios to it \
         are of medians, not round by round.\n\n\
         {pictures}{parts}"
    )
}

fn part(results: &Results, job: &Job) -> String {
    let (title, about, id) = (&job.title, job.about.trim(), &job.id);
    let mut text = format!("### {title}\n\n{about} [`{id}`](scenarios/{id}.toml)\n\n");
    text += &how(results, job);
    let figures = Figures(results);
    let tables = match figures.sizes(job).as_slice() {
        [] | [None] => one_size(figures, job),
        sizes => by_size(figures, job, sizes),
    };
    if tables.is_empty() { text + "It was not measured.\n\n" } else { text + &tables }
}

/// How it was measured, and what Envoy's own filters are.
fn how(results: &Results, job: &Job) -> String {
    let mut sentences = Vec::new();
    if !job.envoy_filters.is_empty() {
        sentences.push(format!("Envoy's own: {}.", filters(job)));
    }
    sentences.extend(chains(results, job));
    if let Some(of) = results.throughput.iter().find(|of| of.place.scenario == job.id) {
        let (connections, rounds) = (of.connections, of.rounds.len());
        sentences.push(format!("Closed loop: {connections} connections, {rounds} rounds."));
    }
    if sentences.is_empty() { String::new() } else { sentences.join(" ") + "\n\n" }
}

/// How many copies stood in a chain, and who had another number of them.
fn chains(results: &Results, job: &Job) -> Option<String> {
    let copies: BTreeMap<Subject, u32> = results
        .instructions
        .iter()
        .filter(|of| of.place.scenario == job.id && of.place.subject != Subject::None)
        .map(|of| (of.place.subject, of.copies))
        .collect();
    let usual = *copies.values().max()?;
    let named = |copies: u32| match copies {
        1 => "one copy".to_owned(),
        copies => format!("{copies} copies"),
    };
    let others: String = copies
        .iter()
        .filter(|(_, copies)| **copies != usual)
        .map(|(subject, copies)| format!("; {}: {}", subject.title(), named(*copies)))
        .collect();
    let alone = match usual {
        1 => ", so they include what the request is spared, or made to do, elsewhere in Envoy",
        _ => "",
    };
    Some(format!("Instructions: {} in a chain less none{others}{alone}.", named(usual)))
}

/// What a request costs, then how many there were.
fn one_size(figures: Figures<'_>, job: &Job) -> String {
    let ratio = |at: &Place, to: Subject, figure: fn(&Throughput) -> Vec<f64>| {
        spanned(figures.paired(at, to, figure))
    };
    let cost = [
        "",
        "instructions per request",
        "in ratio to Envoy's own",
        "CPU, µs per request",
        "CPU in ratio to no filter",
        "CPU in ratio to Envoy's own",
    ];
    let cost = table(figures, job, &cost, &|at: &Place| {
        vec![
            shown(figures.instructions(at)),
            shown(figures.to_envoy(at)),
            spanned(figures.cpu_us(at)),
            ratio(at, Subject::None, Throughput::cpu_us),
            ratio(at, Subject::Envoy, Throughput::cpu_us),
        ]
    });
    let rate = ["", "requests/s", "in ratio to no filter", "in ratio to Envoy's own"];
    let rate = table(figures, job, &rate, &|at: &Place| {
        vec![
            spanned(figures.rate(at)),
            ratio(at, Subject::None, Throughput::rate),
            ratio(at, Subject::Envoy, Throughput::rate),
        ]
    });
    cost + &rate
}

fn table(
    figures: Figures<'_>,
    job: &Job,
    headings: &[&str],
    cells: &dyn Fn(&Place) -> Vec<String>,
) -> String {
    let mut grid = Grid::new(headings.iter().copied());
    for subject in figures.subjects(job) {
        let cells = cells(&place(job, None, subject));
        if cells.iter().any(|cell| cell != MISSING) {
            grid.row([subject.title().to_owned()].into_iter().chain(cells));
        }
    }
    if grid.is_empty() { String::new() } else { grid.filled().markdown() }
}

/// Something that is shown at every size.
struct Column<'f> {
    title: &'f str,
    figure: &'f dyn Fn(&Place) -> Option<f64>,
    /// In brackets.
    to_envoy: &'f dyn Fn(&Place) -> Option<f64>,
}

fn by_size(figures: Figures<'_>, job: &Job, sizes: &[Option<u32>]) -> String {
    let columns = [
        Column {
            title: "instructions per request",
            figure: &|at| figures.instructions(at),
            to_envoy: &|at| figures.to_envoy(at),
        },
        Column {
            title: "CPU, µs per request",
            figure: &|at| Some(figures.cpu_us(at)?.median),
            to_envoy: &|at| Some(figures.paired(at, Subject::Envoy, Throughput::cpu_us)?.median),
        },
        Column {
            title: "CPU in ratio to no filter",
            figure: &|at| Some(figures.paired(at, Subject::None, Throughput::cpu_us)?.median),
            to_envoy: &|_| None,
        },
        Column {
            title: "requests/s",
            figure: &|at| Some(figures.rate(at)?.median),
            to_envoy: &|at| Some(figures.paired(at, Subject::Envoy, Throughput::rate)?.median),
        },
        Column {
            title: "requests/s in ratio to no filter",
            figure: &|at| Some(figures.paired(at, Subject::None, Throughput::rate)?.median),
            to_envoy: &|_| None,
        },
    ];
    columns.iter().map(|column| sized(figures, job, sizes, column)).collect()
}

fn sized(figures: Figures<'_>, job: &Job, sizes: &[Option<u32>], column: &Column<'_>) -> String {
    let what = job.varies.as_deref().unwrap_or("size");
    let headings = sizes.iter().map(|size| size.map_or_else(String::new, |n| count(n.into())));
    let first = format!("{}; {what}:", column.title);
    let mut grid = Grid::new([first].into_iter().chain(headings).chain(["last / first".into()]));
    let mut brackets = false;
    for subject in figures.subjects(job) {
        // An empty chain ran beside the first size only.
        let measured = if subject == Subject::None { 1 } else { sizes.len() };
        let places = sizes.iter().take(measured);
        let places: Vec<Place> = places.map(|size| place(job, *size, subject)).collect();
        let values: Vec<Option<f64>> = places.iter().map(column.figure).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let ratio = |at: &Place| (column.to_envoy)(at).filter(|_| subject != Subject::Envoy);
        brackets |= places.iter().any(|at| ratio(at).is_some());
        let cells = places.iter().zip(&values).map(|(at, value)| match (value, ratio(at)) {
            (None, _) => MISSING.to_owned(),
            (Some(value), Some(ratio)) => format!("{} ({})", number(*value), number(ratio)),
            (Some(value), None) => number(*value),
        });
        let others = (measured..sizes.len()).map(|_| MISSING.to_owned());
        let growth = match (values.first(), values.last()) {
            (Some(Some(first)), Some(Some(last))) if values.len() > 1 && *first > 0.0 => {
                Some(last / first)
            }
            _ => None,
        };
        let title = subject.title().to_owned();
        grid.row([title].into_iter().chain(cells).chain(others).chain([shown(growth)]));
    }
    match (grid.is_empty(), brackets) {
        (true, _) => String::new(),
        (false, true) => grid.markdown() + "In brackets: the ratio to Envoy's own.\n\n",
        (false, false) => grid.markdown(),
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::report::sample;
    use crate::bench::subject::Subject;

    #[test]
    fn subjects_are_rows_and_sizes_columns() {
        let text = text(&sample::results(), "");
        for line in [
            "| libpintle.so | 6,100 | 0.709 | 33.0 (32.7 to 33.3) | 1.10 | 0.957 |",
            "| libpintle.so | 18,182 (18,002 to 18,365) | 0.909 | 1.05 |",
            "| instructions per request; rules: | 1 | 1,000 | last / first |",
            "| libpintle.so | 6,100 (0.709) | 6,344 (0.709) | 1.04 |",
            "| Envoy's own | 8,600 | 8,944 | 1.04 |",
            "Instructions: 10 copies in a chain less none. Closed loop: 16 connections, 3 rounds.",
            "Envoy's own: `rbac`.",
            "[`rules`](scenarios/rules.toml)",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("in a chain less none; "), "{text}");
        // Endless times are no figures.
        assert!(!text.contains("CPU, µs per request; rules"), "{text}");
    }

    #[test]
    fn an_empty_chain_stands_beside_the_first_size() {
        let mut results = sample::results();
        results.throughput.retain(|of| of.place.scenario == "reference");
        let mut more = results.throughput.clone();
        for of in &mut more {
            of.place.scenario = "rules".into();
            of.place.size = Some(1).filter(|_| of.place.subject != Subject::None);
        }
        results.throughput.extend(more.clone());
        more.retain(|of| of.place.subject != Subject::None);
        more.iter_mut().for_each(|of| of.place.size = Some(1_000));
        results.throughput.extend(more);
        let text = text(&results, "");
        for line in [
            "| CPU, µs per request; rules: | 1 | 1,000 | last / first |",
            "| no filter | 30.0 | – | – |",
            "| libpintle.so | 33.0 (0.957) | 33.0 (0.957) | 1.00 |",
            "| CPU in ratio to no filter; rules: | 1 | 1,000 | last / first |",
            "| libpintle.so | 1.10 | 1.10 | 1.00 |",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert_eq!(text.matches("In brackets: the ratio").count(), 3, "{text}");
    }

    #[test]
    fn who_had_fewer_copies_is_named() {
        let mut results = sample::results();
        for of in &mut results.instructions {
            if of.place.subject == Subject::Envoy {
                of.copies = 1;
            }
        }
        let text = text(&results, "");
        assert!(text.contains("10 copies in a chain less none; Envoy's own: one copy."), "{text}");
    }
}
