//! What the figures should reach, and whether they do.

use super::figures::{Figures, place};
use super::grid::Grid;
use super::{reference, summary};
use crate::bench::number::{count, kib, number, range};
use crate::bench::results::{Job, Place, Results, Throughput};
use crate::bench::scenario::REFERENCE;
use crate::bench::statistics::Spread;
use crate::bench::subject::Subject;
use crate::table::{Mood, Table};

// Instructions per request of the reference job, from an earlier measurement of the same kind on
// Envoy 1.40.0.
/// The job in bare C, as a native module.
const NATIVE_FLOOR: f64 = 6_119.0;
/// The job on the bare ABI, as a wasm module.
const WASM_FLOOR: f64 = 23_426.0;
const LUA: f64 = 26_142.0;
/// A Go plug-in on its SDK.
const GO_SDK: f64 = 38_344.0;
/// A native module in C that does nothing.
const IDLE_NATIVE: f64 = 3_828.0;
/// A wasm module that does nothing.
const IDLE_WASM: f64 = 7_525.0;

/// How far above its floor an artefact may be.
const ABOVE_FLOOR: f64 = 1.10;
/// The job whose token is remembered, and the same with [`LONGER_BY`] more bytes of credential.
const WARM: [&str; 2] = ["token-exchange-warm", "token-exchange-warm-1k"];
const LONGER_BY: f64 = 1_024.0;
/// What it may cost in ratio to the reference job, and what further 1,024 bytes may, in instructions.
const WARM_TO_REFERENCE: f64 = 1.3;
const FURTHER_KIB: f64 = 5_000.0;
/// How far apart the costs of several sizes may be.
const FLAT: f64 = 0.05;
/// How far apart the samples of one cell may be, as a share of what they say of the job.
const REPEAT: f64 = 0.01;
/// What a soak has to have sent before it is judged.
const SOAK_REQUESTS: u64 = 1_000_000;
/// What memory may grow by over a soak, beyond what it grows by without a filter.
const SOAK_BYTES: f64 = 1_048_576.0;
/// The one case of those of `core` alone that makes content, and how often it may take heap memory: the
/// problem, its parts and what it keeps of the request. It took 19 when this was set.
const NEW_CONTENT: &str = "problem_json/an error";
const NEW_CONTENT_ALLOCATIONS: f64 = 19.0;
/// What Envoy pays to enter a wasm module once, in instructions, and how often it does so for content: for
/// that of the request and of the response.
const ENTRY: f64 = 1_450.0;
const CONTENT_ENTRIES: f64 = 2.0;
/// The least that a heap hands out, in bytes.
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
    // What no bound is set for stands in the tables of its scenario.
    let bounds = all(results).into_iter().filter(|bound| bound.verdict != Verdict::NoBound);
    for bound in bounds {
        let verdict = match bound.verdict {
            Verdict::Missed => "**no**",
            verdict => verdict.text(),
        };
        grid.row([bound.what, bound.measured, verdict.to_owned()]);
    }
    let figures = Figures(results);
    format!(
        "## What was to be reached\n\n{}\
         The floors, Lua's {} and Go's {} (on its SDK) are constants of the design: they come from \
         an earlier measurement of the same kind, also on Envoy 1.40.0. Where Lua was counted in \
         this run, it is Lua of this run that counts.{}\n\n\
         CPU time is that of whole requests, Envoy's own work included: in ratio to Envoy's own \
         filters, the median and in brackets least to greatest over the rounds. The bounds are on \
         instructions.\n\n\
         Where one of Envoy's filters does the whole job there is no bound: a native module that \
         does nothing pays for the ABI alone, and that may be more than a single built-in filter \
         costs with all that it does. {} The wasm module has no such bound anywhere, since a \
         sandbox has its price.\n\n\
         The samples of a cell share one process: that they repeat says nothing of hash keys and \
         addresses, which are others in each process.\n\n\
         Memory counts as flat if the resident set grows, after the first fifth of the requests, \
         by less than {} KiB more than Envoy's own does without a filter. A leak of the heap's \
         smallest block ({} bytes) at each of 800,000 requests would be 12,500 KiB; a page or an \
         arena that the allocator keeps is well below.\n\n",
        grid.prose(),
        number(LUA),
        number(GO_SDK),
        idle(figures, reference(results)),
        dearer_than_one(figures, results),
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

/// Whether this harness counts as that of the design did.
fn idle(figures: Figures<'_>, job: Option<&Job>) -> String {
    let modules =
        [(Subject::IdleNative, IDLE_NATIVE, ", one in C"), (Subject::IdleWasm, IDLE_WASM, "")];
    let beside = |(subject, earlier, what): (Subject, f64, &str)| {
        let here = figures.instructions(&place(job?, None, subject))?;
        Some(format!("{} {} ({} then{what})", subject.title(), number(here), number(earlier)))
    };
    let beside: Vec<String> = modules.into_iter().filter_map(beside).collect();
    match beside.is_empty() {
        true => String::new(),
        false => format!(
            " How this measurement compares with that one, by modules that do nothing: {}.",
            beside.join("; ")
        ),
    }
}

/// Where the native module costs more than the one filter of Envoy's that does the job.
fn dearer_than_one(figures: Figures<'_>, results: &Results) -> String {
    let title = Subject::Native.title();
    let single = results.scenarios.iter().filter(|job| job.envoy_filters.len() == 1);
    let counted: Vec<(&Job, bool)> = single
        .filter_map(|job| {
            let costs = costs(figures, job, Subject::Native);
            let dearer = costs.iter().any(|(_, this, own)| this > own);
            (!costs.is_empty()).then_some((job, dearer))
        })
        .collect();
    let dearer: Vec<&str> =
        counted.iter().filter(|(_, dearer)| *dearer).map(|(job, _)| job.title.as_str()).collect();
    match (counted.is_empty(), dearer.is_empty()) {
        (true, _) => "No such job was counted in this run.".into(),
        (_, true) => {
            format!("In this run `{title}` never costs more instructions than the one filter.")
        }
        (_, false) => {
            let jobs = dearer.join("; ");
            format!("In this run `{title}` costs more instructions than the one filter in: {jobs}.")
        }
    }
}

fn all(results: &Results) -> Vec<Bound> {
    let figures = Figures(results);
    let mut bounds = at_reference(figures, reference(results));
    bounds.extend(ARTEFACTS.map(|subject| warm(figures, results, subject)));
    bounds.extend(ARTEFACTS.map(|subject| longer(figures, results, subject)));
    bounds.extend(results.scenarios.iter().flat_map(|job| against_envoy(figures, job)));
    let varying = results.scenarios.iter().filter(|job| job.varies.is_some());
    bounds.extend(varying.flat_map(|job| ARTEFACTS.map(|subject| flat(figures, job, subject))));
    bounds.push(repeats(results));
    bounds.push(allocations(results));
    bounds.push(new_content(results));
    for job in soaked(results) {
        bounds.extend(ARTEFACTS.map(|subject| soak(results, job, subject)));
    }
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
    let below = |whose: &str, limit: f64, when: &str, beside: String| {
        let (title, limit_shown) = (Subject::WasmHeaders.title(), number(limit));
        let what =
            format!("reference job, `{title}`: instructions below {whose} {limit_shown} {when}");
        match cost(Subject::WasmHeaders) {
            Some(cost) => {
                let measured = format!("{} ({beside})", number(cost));
                Bound::new(what, measured, Verdict::of(cost < limit))
            }
            None => Bound::not_measured(what),
        }
    };
    let (now, then) = ("in this run", "in the earlier measurement");
    let lua = match cost(Subject::Lua) {
        Some(lua) => below("Lua's", lua, now, format!("Lua {then}: {}", number(LUA))),
        None => below("Lua's", LUA, then, format!("Lua {now}: not measured")),
    };
    let with_content = {
        let (all, fields) = (Subject::Wasm.title(), Subject::WasmHeaders.title());
        let what = format!(
            "reference job, `{all}`: at most {ABOVE_FLOOR:.2} x (`{fields}` of this run + \
             {CONTENT_ENTRIES} x {} instructions for the callbacks of content)",
            number(ENTRY)
        );
        match (cost(Subject::Wasm), cost(Subject::WasmHeaders)) {
            (Some(cost), Some(fields)) => {
                let limit = (fields + CONTENT_ENTRIES * ENTRY) * ABOVE_FLOOR;
                let measured = format!("{} (at most {})", number(cost), number(limit.round()));
                Bound::new(what, measured, Verdict::of(cost <= limit))
            }
            _ => Bound::not_measured(what),
        }
    };
    let go = cost(Subject::Go).map_or_else(|| "not measured".to_owned(), number);
    vec![
        at_most(Subject::Native, NATIVE_FLOOR),
        // The job is one of fields alone, and this the file for these.
        at_most(Subject::WasmHeaders, WASM_FLOOR),
        with_content,
        lua,
        below("the Go SDK's", GO_SDK, then, format!("Go without SDK {now}: {go}")),
    ]
}

/// What a remembered token costs, against the reference job of the same run.
fn warm(figures: Figures<'_>, results: &Results, subject: Subject) -> Bound {
    let (title, at_most) = (subject.title(), number(WARM_TO_REFERENCE));
    let what =
        format!("a token that is remembered, `{title}`: at most {at_most} x the reference job");
    let cost = |job: Option<&Job>| figures.instructions(&place(job?, None, subject));
    match (cost(job(results, WARM[0])), cost(reference(results))) {
        (Some(cost), Some(reference)) => {
            let ratio = cost / reference;
            let measured =
                format!("{} x ({} against {})", number(ratio), number(cost), number(reference));
            Bound::new(what, measured, Verdict::of(ratio <= WARM_TO_REFERENCE))
        }
        _ => Bound::not_measured(what),
    }
}

/// What a longer credential costs.
fn longer(figures: Figures<'_>, results: &Results, subject: Subject) -> Bound {
    let (title, at_most) = (subject.title(), number(FURTHER_KIB));
    let what = format!(
        "the same, `{title}`: at most {at_most} instructions more for {} bytes more of credential",
        number(LONGER_BY)
    );
    let cost = |id| figures.instructions(&place(job(results, id)?, None, subject));
    match (cost(WARM[0]), cost(WARM[1])) {
        (Some(short), Some(long)) => {
            let more = long - short;
            Bound::new(what, number(more), Verdict::of(more <= FURTHER_KIB))
        }
        _ => Bound::not_measured(what),
    }
}

fn job<'r>(results: &'r Results, id: &str) -> Option<&'r Job> {
    results.scenarios.iter().find(|job| job.id == id)
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
        let what =
            format!("{}: instructions of `{title}` {relation} those of {filters}", job.title);
        let costs = costs(figures, job, subject);
        if costs.is_empty() {
            return Bound::not_measured(what);
        }
        let shown = costs.iter().map(|(size, this, own)| {
            let at = place(job, *size, subject);
            let time = figures.paired(&at, Subject::Envoy, Throughput::cpu_us);
            pair(*size, *this, *own) + &cpu_time(time)
        });
        let shown: Vec<String> = shown.collect();
        let verdict = match bounded {
            true => Verdict::of(costs.iter().all(|(_, this, own)| this < own)),
            false => Verdict::NoBound,
        };
        Bound::new(what, shown.join("; "), verdict)
    };
    ARTEFACTS.map(bound).into()
}

/// What the subject costs and what Envoy's own filters do, in instructions, at each size that there
/// is both of.
fn costs(figures: Figures<'_>, job: &Job, subject: Subject) -> Vec<(Option<u32>, f64, f64)> {
    let sizes = figures.sizes(job).into_iter();
    let costs = sizes.filter_map(|size| {
        let cost = |subject| figures.instructions(&place(job, size, subject));
        Some((size, cost(subject)?, cost(Subject::Envoy)?))
    });
    costs.collect()
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

/// What stands beside the instructions, in ratio to Envoy's own.
fn cpu_time(ratio: Option<Spread>) -> String {
    let Some(ratio) = ratio else { return String::new() };
    let words = if ratio.median >= 1.0 { ": not below" } else { "" };
    format!(", CPU time {} x ({}){words}", number(ratio.median), range(Some(ratio)))
}

fn flat(figures: Figures<'_>, job: &Job, subject: Subject) -> Bound {
    let cell = |size: &u32| {
        let at = place(job, Some(*size), subject);
        Some((figures.instructions(&at)?, figures.copies(&at)?))
    };
    let cells: Vec<(f64, u32)> = job.sizes.iter().filter_map(cell).collect();
    let (title, within) = (subject.title(), FLAT * 100.0);
    let ends = match (job.sizes.iter().min(), job.sizes.iter().max()) {
        (Some(first), Some(last)) => {
            format!(" from {} to {}", count((*first).into()), count((*last).into()))
        }
        _ => String::new(),
    };
    let what = format!("{}: instructions of `{title}` flat within {within} %{ends}", job.title);
    let costs = cells.iter().map(|(cost, _)| *cost);
    let least = costs.clone().fold(f64::INFINITY, f64::min);
    let most = costs.fold(f64::NEG_INFINITY, f64::max);
    if cells.len() < 2 || least <= 0.0 {
        return Bound::not_measured(what);
    }
    let apart = most / least - 1.0;
    let copies = if cells.iter().any(|(_, copies)| *copies == 1) { ", one copy" } else { "" };
    let (percent, least, most) = (apart * 100.0, number(least), number(most));
    let shown = format!("{percent:.1} % apart ({least} to {most}{copies})");
    match cells.len() == job.sizes.len() {
        true => Bound::new(what, shown, Verdict::of(apart <= FLAT)),
        false => {
            let shown = format!("{shown}, {} of {} sizes only", cells.len(), job.sizes.len());
            Bound::new(what, shown, Verdict::NotMeasured)
        }
    }
}

/// The worst of all cells stands for them.
fn repeats(results: &Results) -> Bound {
    let what = format!("instruction counts repeat within {} %", REPEAT * 100.0);
    let cells = results.instructions.iter().filter(|of| of.samples.len() > 1);
    let apart = cells.filter_map(|of| {
        let (spread, cost) = (of.spread()?, results.per_filter(of)?.abs());
        let share = (spread.max - spread.min) / f64::from(of.copies) / cost;
        share.is_finite().then_some((share, &of.place))
    });
    match apart.max_by(|one, other| one.0.total_cmp(&other.0)) {
        Some((share, place)) => {
            let measured = format!("{:.2} % at most: {}", share * 100.0, cell(results, place));
            Bound::new(what, measured, Verdict::of(share <= REPEAT))
        }
        None => Bound::not_measured(what),
    }
}

/// The name of a place.
fn cell(results: &Results, place: &Place) -> String {
    let job = results.scenarios.iter().find(|job| job.id == place.scenario);
    let job = job.map_or_else(
        || place.scenario.clone(),
        |job| format!("{}{}", job.title, summary::sized(job, place.size)),
    );
    format!("{job}: {}", place.subject.title())
}

fn allocations(results: &Results) -> Bound {
    let what = "`core`: no heap allocation per request, but for an error's new content";
    let some: Vec<String> = results
        .micro
        .iter()
        .filter(|of| of.allocations != 0.0 && of.name != NEW_CONTENT)
        .map(|of| format!("{}: {}", of.name, number(of.allocations)))
        .collect();
    match (results.micro.len(), some.is_empty()) {
        (0, _) => Bound::not_measured(what),
        (cases, true) => Bound::new(what, format!("none in {cases} cases"), Verdict::Met),
        (_, false) => Bound::new(what, some.join("; "), Verdict::Missed),
    }
}

/// The case that is left out there.
fn new_content(results: &Results) -> Bound {
    let most = number(NEW_CONTENT_ALLOCATIONS);
    let what = format!("`core`: at most {most} heap allocations for an error's new content");
    match results.micro.iter().find(|of| of.name == NEW_CONTENT) {
        Some(of) => {
            let verdict = Verdict::of(of.allocations <= NEW_CONTENT_ALLOCATIONS);
            Bound::new(what, number(of.allocations), verdict)
        }
        None => Bound::not_measured(what),
    }
}

/// The jobs that memory was looked at over many requests of; the reference job if there are none.
fn soaked(results: &Results) -> Vec<&str> {
    let soaked = |job: &&Job| results.soak.iter().any(|of| of.place.scenario == job.id);
    let jobs: Vec<&str> =
        results.scenarios.iter().filter(soaked).map(|job| job.id.as_str()).collect();
    if jobs.is_empty() { vec![REFERENCE] } else { jobs }
}

fn soak(results: &Results, job: &str, subject: Subject) -> Bound {
    let title = subject.title();
    let requests = count(SOAK_REQUESTS);
    let what = format!("`{title}`: resident set flat over {requests} requests of `{job}`");
    let of = results.soak.iter();
    let of = of.filter(|of| of.place.scenario == job).find(|of| of.place.subject == subject);
    let Some((of, (bytes, requests))) = of.and_then(|of| Some((of, of.growth()?))) else {
        return Bound::not_measured(what);
    };
    let control = control(results, &of.place);
    let beside = match control {
        Some(bytes) => format!("no filter: {} KiB", number(kib(bytes))),
        None => "no filter: not measured".into(),
    };
    let (grown, over) = (number(kib(bytes)), count(requests));
    let measured = format!("{grown} KiB over {over} requests ({beside})");
    if of.points.last().is_none_or(|last| last.requests < SOAK_REQUESTS) {
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
mod tests;
