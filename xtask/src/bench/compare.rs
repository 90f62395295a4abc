//! Ratios to an earlier run, and what changed by more than the noise.

mod figure;

use std::fmt::Write as _;

use super::number::number;
use super::results::Results;
use crate::table::{Mood, Table};

use figure::{Figure, Unit};

/// As a share of the earlier rate, by what rates may differ for latencies to be compared.
const SAME_RATE: f64 = 0.02;

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Not more than noise.
    Same,
    Better,
    Worse,
    /// The runs cannot be compared in this.
    Unknown,
}

/// Every figure that is in both, and how many got worse or better.
pub(crate) fn render(old: &Results, new: &Results) -> String {
    let comparable = old.machine.cpu == new.machine.cpu && old.machine.cores == new.machine.cores;
    let (before, after) = (figure::all(old), figure::all(new));
    let pairs: Vec<(&Figure, &Figure, Change)> = after
        .iter()
        .filter_map(|new| {
            let old = before.iter().find(|old| old.unit == new.unit && old.name == new.name)?;
            Some((old, new, change(old, new, comparable)))
        })
        .collect();
    let changed = |change| pairs.iter().filter(|(_, _, of)| *of == change).count();
    let (from, to) = (&old.machine, &new.machine);
    let mut text = format!(
        "\n{} at {} against {} at {}: by more than the noise, {} of {} figures got worse, {} better.\n",
        to.date,
        to.commit,
        from.date,
        from.commit,
        changed(Change::Worse),
        pairs.len(),
        changed(Change::Better),
    );
    for warning in warnings(old, new) {
        let _ = writeln!(text, "warning: {warning}");
    }
    let gone = before.len().saturating_sub(pairs.len());
    if gone > 0 {
        let _ =
            writeln!(text, "{gone} figures of the earlier run have no counterpart in this one.");
    }
    if pairs.iter().any(|(old, new, _)| !alike(old.with, new.with)) {
        let _ = writeln!(
            text,
            "Latencies at other rates, and other numbers of copies, are not marked."
        );
    }
    if !pairs.is_empty() {
        let _ = write!(text, "\n{}", table(&pairs));
    }
    text
}

/// What may stand between the runs and a comparison.
fn warnings(old: &Results, new: &Results) -> Vec<String> {
    let (from, to) = (&old.machine, &new.machine);
    let mut warnings = Vec::new();
    let mut differ = |what: &str, old: &str, new: &str, so: &str| {
        if old != new {
            warnings.push(format!("{what}: {old} then, {new} now; {so}"));
        }
    };
    let times =
        "times and memory are not comparable, and not marked; instruction counts nearly are";
    differ("machine", &from.cpu, &to.cpu, times);
    differ("cores", &from.cores.to_string(), &to.cores.to_string(), times);
    let envoy = "what changed may be Envoy's doing";
    differ("Envoy", &from.envoy, &to.envoy, envoy);
    for (tool, new) in &to.tools {
        let old = from.tools.get(tool).map_or("none", String::as_str);
        differ(tool, old, new, "what changed may be its doing");
    }
    warnings
}

fn table(pairs: &[(&Figure, &Figure, Change)]) -> String {
    let mut table = Table::default();
    let mut unit = None;
    for (old, new, change) in pairs {
        if unit.replace(new.unit) != Some(new.unit) {
            table.row(Mood::Heading, [new.unit.title(), "old", "new", "ratio", "noise", ""]);
        }
        let (mood, mark) = match change {
            Change::Same | Change::Unknown => (Mood::Plain, ""),
            Change::Better => (Mood::Well, "better"),
            Change::Worse => (Mood::Wrong, "WORSE"),
        };
        let cells = [
            new.name.clone(),
            number(old.value),
            number(new.value),
            ratio(old.value, new.value),
            share(noise(old, new), old.value),
            mark.to_owned(),
        ];
        table.row(mood, cells);
    }
    table.render()
}

/// A ratio only where both are something.
fn ratio(old: f64, new: f64) -> String {
    number(if old > 0.0 && new > 0.0 { new / old } else { f64::NAN })
}

/// In per cent of a figure, or in its unit where it drowns the figure.
fn share(noise: f64, of: f64) -> String {
    if noise < of.abs() { format!("{:.1} %", noise / of.abs() * 100.0) } else { number(noise) }
}

fn change(old: &Figure, new: &Figure, comparable: bool) -> Change {
    let more = new.value - old.value;
    if more.abs() <= noise(old, new) {
        Change::Same
    } else if !comparable && new.unit.depends_on_machine() || !alike(old.with, new.with) {
        Change::Unknown
    } else if (more > 0.0) == (new.unit == Unit::Rate) {
        Change::Better
    } else {
        Change::Worse
    }
}

/// Rates follow what the slowest subject of each run can do, so they are never quite the same.
fn alike(old: f64, new: f64) -> bool {
    (new - old).abs() <= SAME_RATE * old
}

/// What a figure may change by without anything having changed, in its unit.
fn noise(old: &Figure, new: &Figure) -> f64 {
    old.noise.max(new.noise)
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::bench::report::sample;
    use crate::bench::results::Results;
    use crate::bench::subject::Subject;

    /// Every native chain of the reference job executes more, in proportion to one filter.
    fn dearer(share: f64) -> Results {
        let mut results = sample::results();
        for of in &mut results.instructions {
            if of.place.scenario == "reference" && of.place.subject == Subject::Native {
                of.samples.iter_mut().for_each(|sample| *sample += 10.0 * 6_100.0 * share);
            }
        }
        results
    }

    fn marks(text: &str) -> (usize, usize) {
        (
            text.matches("WORSE").count(),
            text.lines().filter(|line| line.contains("  better")).count(),
        )
    }

    #[test]
    fn nothing_changed() {
        let results = sample::results();
        let text = render(&results, &results);
        assert_eq!(marks(&text), (0, 0), "{text}");
        assert!(text.contains(" 0 of ") && !text.contains("warning") && !text.contains("NaN"));
        let empty = sample::empty();
        assert!(render(&empty, &results).contains("0 of 0 figures"));
    }

    #[test]
    fn more_instructions_are_worse_and_fewer_better() {
        let text = render(&sample::results(), &dearer(0.05));
        assert_eq!(marks(&text), (1, 0), "{text}");
        assert!(text.contains(" 1 of "), "{text}");
        let line = text.lines().find(|line| line.contains("WORSE")).unwrap();
        assert!(line.contains("reference libpintle.so") && line.contains("1.05"), "{line}");
        assert_eq!(marks(&render(&dearer(0.05), &sample::results())), (0, 1));
    }

    #[test]
    fn noise_is_not_marked() {
        assert_eq!(marks(&render(&sample::results(), &dearer(0.009))), (0, 0));
        let mut noisy = dearer(0.05);
        for of in &mut noisy.instructions {
            of.samples[0] -= 5_000.0;
        }
        assert_eq!(marks(&render(&sample::results(), &noisy)), (0, 0));
    }

    #[test]
    fn fewer_requests_are_worse() {
        let mut slower = sample::results();
        for of in &mut slower.throughput {
            of.rounds.iter_mut().for_each(|round| round.seconds *= 1.2);
        }
        assert_eq!(marks(&render(&sample::results(), &slower)), (3, 0));
    }

    #[test]
    fn latencies_at_another_rate_are_not_marked() {
        let mut busier = sample::results();
        for of in &mut busier.latency {
            of.rate *= 2;
            of.rounds.iter_mut().for_each(|round| round.p99_us *= 2.0);
        }
        let text = render(&sample::results(), &busier);
        assert_eq!(marks(&text), (0, 0), "{text}");
        assert!(text.contains("at other rates"), "{text}");
    }

    #[test]
    fn what_is_gone_is_counted() {
        let mut fewer = sample::results();
        fewer.micro.clear();
        assert!(render(&sample::results(), &fewer).contains("4 figures of the earlier run"));
    }

    #[test]
    fn an_allocation_is_worse() {
        let mut worse = sample::results();
        worse.micro[0].allocations = 1.0;
        assert_eq!(marks(&render(&sample::results(), &worse)), (1, 0));
    }

    #[test]
    fn times_of_another_machine_are_not_marked() {
        let mut other = dearer(0.05);
        other.machine.cpu = "Another processor".into();
        other.machine.envoy = "1.41.0".into();
        for of in &mut other.throughput {
            of.rounds.iter_mut().for_each(|round| round.cpu_seconds *= 2.0);
        }
        let text = render(&sample::results(), &other);
        assert_eq!(marks(&text), (1, 0), "{text}");
        assert_eq!(text.matches("warning").count(), 2, "{text}");
    }
}
