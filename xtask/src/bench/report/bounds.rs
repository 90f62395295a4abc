//! What the figures should reach, and whether they do.

use super::figures::{Figures, place};
use super::grid::Grid;
use super::{reference, summary};
use crate::bench::number::{count, kib, number};
use crate::bench::results::{Job, Place, Results};
use crate::bench::subject::Subject;
use crate::table::{Mood, Table};

// Instructions per request and filter at the reference job, from an earlier measurement of the same
// kind on Envoy 1.40.0.
/// The job in bare C, as a native module.
const NATIVE_FLOOR: f64 = 6_119.0;
/// The job on the bare ABI, as a wasm module.
const WASM_FLOOR: f64 = 23_426.0;
const LUA: f64 = 26_142.0;
/// A Go plug-in on its SDK.
const GO_SDK: f64 = 38_344.0;

/// How far above its floor an artefact may be.
const ABOVE_FLOOR: f64 = 1.10;
/// How far apart the costs of several sizes may be.
const FLAT: f64 = 0.05;
/// What memory may grow by over a soak, beyond what it grows by without a filter.
const SOAK_BYTES: f64 = 1_048_576.0;
/// The least that a heap hands out. If it leaked at each request, a soak would have to show it twice over.
const LEAST_BLOCK: f64 = 16.0;

const ARTEFACTS: [Subject; 2] = [Subject::Native, Subject::Wasm];

/// Something to reach.
#[derive(Debug)]
struct Bound {
    what: String,
    measured: String,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    NotMeasured,
    /// Shown for comparison.
    NoBound,
}

impl Verdict {
    const fn of(met: bool) -> Self {
        if met { Self::Met } else { Self::Missed }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Met => "yes",
            Self::Missed => "no",
            Self::NotMeasured => "not measured",
            Self::NoBound => "no bound",
        }
    }

    const fn mood(self) -> Mood {
        match self {
            Self::Met => Mood::Well,
            Self::Missed => Mood::Wrong,
            Self::NotMeasured | Self::NoBound => Mood::Plain,
        }
    }
}

impl Bound {
    fn new(what: impl Into<String>, measured: impl Into<String>, verdict: Verdict) -> Self {
        Self { what: what.into(), measured: measured.into(), verdict }
    }

    fn not_measured(what: impl Into<String>) -> Self {
        Self::new(what, crate::bench::number::MISSING, Verdict::NotMeasured)
    }
}

/// The part of the report.
pub(super) fn text(results: &Results) -> String {
    let mut grid = Grid::new(["bound", "measured", "met?"]);
    for bound in all(results) {
        let verdict = match bound.verdict {
            Verdict::Missed => "**no**",
            verdict => verdict.text(),
        };
        grid.row([bound.what, bound.measured, verdict.to_owned()]);
    }
    let idle = reference(results)
        .and_then(|job| Figures(results).instructions(&place(job, None, Subject::IdleNative)));
    let idle = match idle {
        Some(idle) => format!("{} instructions here", number(idle)),
        None => "3,828 instructions in the earlier measurement".into(),
    };
    format!(
        "## What was to be reached\n\n{}\
         The floors, Lua's {} and Go's {} (on its SDK) are constants of the design: they come from an \
         earlier measurement of the same kind, also on Envoy 1.40.0.\n\n\
         Where one of Envoy's filters does the whole job there is no bound: a native module that does \
         nothing (the idle module: {idle}) pays for the ABI alone, and that may be more than a single \
         built-in filter costs with all that it does.\n\n\
         Memory counts as flat if the resident set grows, after the first fifth of the requests, by \
         less than {} KiB more than Envoy's own does without a filter. A leak of the heap's smallest \
         block ({} bytes) at each of 800,000 requests would be 12,500 KiB; a page or an arena that the \
         allocator keeps is well below.\n\n",
        grid.prose(),
        number(LUA),
        number(GO_SDK),
        number(kib(SOAK_BYTES)),
        LEAST_BLOCK,
    )
}

/// The same for a terminal.
pub(super) fn terminal(results: &Results) -> String {
    let mut table = Table::default();
    table.row(Mood::Heading, ["bound", "measured", "met?"]);
    for bound in all(results).into_iter().filter(|bound| bound.verdict != Verdict::NotMeasured) {
        let cells = [bound.what.replace('`', ""), bound.measured, bound.verdict.text().into()];
        table.row(bound.verdict.mood(), cells);
    }
    format!("\n{}\n", table.render())
}

fn all(results: &Results) -> Vec<Bound> {
    let figures = Figures(results);
    let mut bounds = at_reference(figures, reference(results));
    bounds.extend(results.scenarios.iter().flat_map(|job| against_envoy(figures, job)));
    let varying = results.scenarios.iter().filter(|job| job.varies.is_some());
    bounds.extend(varying.flat_map(|job| ARTEFACTS.map(|subject| flat(figures, job, subject))));
    bounds.push(allocations(results));
    bounds.extend(ARTEFACTS.map(|subject| soak(results, subject)));
    bounds
}

fn at_reference(figures: Figures<'_>, job: Option<&Job>) -> Vec<Bound> {
    let cost = |subject| figures.instructions(&place(job?, None, subject));
    let at_most = |subject: Subject, floor: f64| {
        let limit = floor * ABOVE_FLOOR;
        let what = format!(
            "reference job, `{}`: at most {} instructions ({ABOVE_FLOOR:.2} x the floor of {})",
            subject.title(),
            number(limit.round()),
            number(floor)
        );
        match cost(subject) {
            Some(cost) => {
                let measured = format!("{} ({:.2} x)", number(cost), cost / floor);
                Bound::new(what, measured, Verdict::of(cost <= limit))
            }
            None => Bound::not_measured(what),
        }
    };
    let below = |whose: &str, constant: f64, peer: Subject, name: &str| {
        let title = Subject::Wasm.title();
        let what = format!("reference job, `{title}`: below {whose} {}", number(constant));
        let beside = match cost(peer) {
            Some(peer) => format!("{name} in this run: {}", number(peer)),
            None => format!("{name} in this run: not measured"),
        };
        match cost(Subject::Wasm) {
            Some(cost) => Bound::new(
                what,
                format!("{} ({beside})", number(cost)),
                Verdict::of(cost < constant),
            ),
            None => Bound::not_measured(what),
        }
    };
    vec![
        at_most(Subject::Native, NATIVE_FLOOR),
        at_most(Subject::Wasm, WASM_FLOOR),
        below("Lua's", LUA, Subject::Lua, "Lua"),
        below("the Go SDK's", GO_SDK, Subject::Go, "Go without SDK"),
    ]
}

/// Both artefacts against the filters that Envoy brings along, where they can do the job.
fn against_envoy(figures: Figures<'_>, job: &Job) -> Vec<Bound> {
    if job.envoy_filters.is_empty() {
        return Vec::new();
    }
    let bound = |subject: Subject| {
        let bounded = subject == Subject::Native && job.envoy_filters.len() >= 2;
        let relation = if bounded { "below" } else { "beside" };
        let (title, filters) = (subject.title(), summary::filters(job));
        let what = format!("{}: `{title}` {relation} {filters}", job.title);
        let pairs: Vec<(Option<u32>, f64, f64)> = figures
            .sizes(job)
            .into_iter()
            .filter_map(|size| {
                let cost = |subject| figures.instructions(&place(job, size, subject));
                Some((size, cost(subject)?, cost(Subject::Envoy)?))
            })
            .collect();
        if pairs.is_empty() {
            return Bound::not_measured(what);
        }
        let shown: Vec<String> =
            pairs.iter().map(|(size, this, own)| pair(*size, *this, *own)).collect();
        let verdict = match bounded {
            true => Verdict::of(pairs.iter().all(|(_, this, own)| this < own)),
            false => Verdict::NoBound,
        };
        Bound::new(what, shown.join("; "), verdict)
    };
    ARTEFACTS.map(bound).into()
}

/// Two costs; a ratio only where both are some.
fn pair(size: Option<u32>, this: f64, own: f64) -> String {
    let size = size.map(|size| format!("{}: ", count(size.into()))).unwrap_or_default();
    match this > 0.0 && own > 0.0 {
        true if size.is_empty() => {
            format!("{} x ({} against {})", number(this / own), number(this), number(own))
        }
        true => format!("{size}{} x", number(this / own)),
        false => format!("{size}{} against {}", number(this), number(own)),
    }
}

fn flat(figures: Figures<'_>, job: &Job, subject: Subject) -> Bound {
    let costs: Vec<(u32, f64)> = figures
        .sizes(job)
        .into_iter()
        .filter_map(|size| Some((size?, figures.instructions(&place(job, size, subject))?)))
        .collect();
    let (title, within) = (subject.title(), FLAT * 100.0);
    let ends = |sizes: &[u32]| -> Option<String> {
        let (first, last) = (sizes.iter().min()?, sizes.iter().max()?);
        Some(format!(" from {} to {}", count((*first).into()), count((*last).into())))
    };
    let sizes: Vec<u32> = figures.sizes(job).into_iter().flatten().collect();
    let what = format!(
        "{}: `{title}` flat within {within} %{}",
        job.title,
        ends(&sizes).unwrap_or_default()
    );
    let least = costs.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
    let most = costs.iter().map(|(_, cost)| *cost).fold(f64::NEG_INFINITY, f64::max);
    if costs.len() < 2 || least <= 0.0 {
        return Bound::not_measured(what);
    }
    let apart = most / least - 1.0;
    let shown = format!("{:.1} % apart ({} to {})", apart * 100.0, number(least), number(most));
    let shown = match costs.len() < sizes.len() {
        true => format!("{shown}, {} of {} sizes", costs.len(), sizes.len()),
        false => shown,
    };
    Bound::new(what, shown, Verdict::of(apart <= FLAT))
}

fn allocations(results: &Results) -> Bound {
    let what = "`core`: no heap allocation per request";
    let some: Vec<String> = results
        .micro
        .iter()
        .filter(|of| of.allocations != 0.0)
        .map(|of| format!("{}: {}", of.name, number(of.allocations)))
        .collect();
    match (results.micro.len(), some.is_empty()) {
        (0, _) => Bound::not_measured(what),
        (cases, true) => Bound::new(what, format!("none in {cases} cases"), Verdict::Met),
        (_, false) => Bound::new(what, some.join("; "), Verdict::Missed),
    }
}

fn soak(results: &Results, subject: Subject) -> Bound {
    let title = subject.title();
    let what = format!("`{title}`: resident set flat over many requests");
    let of = results.soak.iter().find(|of| of.place.subject == subject);
    let Some((place, (bytes, requests))) = of.and_then(|of| Some((&of.place, of.growth()?))) else {
        return Bound::not_measured(what);
    };
    let control = control(results, place);
    let beside = match control {
        Some(bytes) => format!("no filter: {} KiB", number(kib(bytes))),
        None => "no filter: not measured".into(),
    };
    let (grown, over) = (number(kib(bytes)), count(requests));
    let measured = format!("{grown} KiB over {over} requests ({beside})");
    if requests as f64 * LEAST_BLOCK < 2.0 * SOAK_BYTES {
        return Bound::new(what, format!("{measured}: too few to tell"), Verdict::NotMeasured);
    }
    let more = bytes - control.unwrap_or_default().max(0.0);
    Bound::new(what, measured, Verdict::of(more < SOAK_BYTES))
}

/// What Envoy without a filter grew by.
fn control(results: &Results, place: &Place) -> Option<f64> {
    let none = results.soak.iter().find(|of| of.place == place.of_none())?;
    Some(none.growth()?.0)
}

#[cfg(test)]
mod tests {
    use super::{Verdict, all, text};
    use crate::bench::report::sample;
    use crate::bench::results::Results;
    use crate::bench::subject::Subject;

    fn verdict(results: &Results, words: &[&str]) -> Verdict {
        let bounds = all(results);
        let bound = bounds.iter().find(|bound| words.iter().all(|word| bound.what.contains(word)));
        bound.unwrap_or_else(|| panic!("no bound on {words:?} in {bounds:#?}")).verdict
    }

    #[test]
    fn what_is_met_is_said_to_be() {
        let results = sample::results();
        let met = Verdict::Met;
        for (words, expected) in [
            (["libpintle.so", "6,731"], met),
            (["pintle.wasm", "25,769"], met),
            (["pintle.wasm", "below Lua's 26,142"], met),
            (["pintle.wasm", "below the Go SDK's 38,344"], met),
            (["libpintle.so", "below `basic_auth` + `header_mutation`"], met),
            (["pintle.wasm", "beside `basic_auth` + `header_mutation`"], Verdict::NoBound),
            (["libpintle.so", "beside `rbac`"], Verdict::NoBound),
            (["libpintle.so", "flat within 5 % from 1 to 1,000"], met),
            (["core", "allocation"], met),
            (["libpintle.so", "resident set"], met),
            (["pintle.wasm", "resident set"], Verdict::NotMeasured),
        ] {
            assert_eq!(verdict(&results, &words), expected, "{words:?}");
        }
        let text = text(&results);
        assert!(text.contains("23,500 (Lua in this run: not measured)"), "{text}");
        assert!(text.contains("510 KiB over 800,000 requests (no filter: 500 KiB)"), "{text}");
    }

    #[test]
    fn what_is_missed_is_said_to_be() {
        let mut results = sample::results();
        for of in &mut results.instructions {
            if of.place.subject == Subject::Native {
                let size = f64::from(of.place.size.unwrap_or(1_000));
                of.samples.iter_mut().for_each(|sample| *sample += 30.0 * size);
            }
        }
        results.micro[0].allocations = 1.0;
        for of in &mut results.soak {
            if of.place.subject == Subject::Native {
                of.points[2].resident_bytes += 2 << 20;
            }
        }
        for words in [
            ["libpintle.so", "6,731"],
            ["libpintle.so", "below `basic_auth`"],
            ["libpintle.so", "flat"],
            ["core", "allocation"],
            ["libpintle.so", "resident set"],
        ] {
            assert_eq!(verdict(&results, &words), Verdict::Missed, "{words:?}");
        }
        assert!(text(&results).contains("| **no** |"));
    }

    #[test]
    fn what_is_missing_is_not_judged() {
        let bounds = all(&sample::empty());
        assert!(bounds.iter().all(|bound| bound.verdict == Verdict::NotMeasured), "{bounds:#?}");
    }
}
