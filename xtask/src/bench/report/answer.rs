//! What the run says, in a minute.

use super::figures::{Figures, place};
use super::reference;
use crate::bench::number::{mib, number};
use crate::bench::results::{Job, Results, Throughput};
use crate::bench::subject::Subject;

/// As many sentences as there are figures for.
pub(super) fn text(results: &Results) -> String {
    let Some(job) = reference(results) else { return String::new() };
    let figures = Figures(results);
    let sentences = [instructions(figures, job), cpu_time(figures, job), memory(figures, job)];
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    if sentences.is_empty() { String::new() } else { sentences.join(" ") + "\n\n" }
}

fn instructions(figures: Figures<'_>, job: &Job) -> Option<String> {
    let clauses = clauses(
        &[Subject::Native, Subject::Wasm, Subject::WasmHeaders, Subject::Lua, Subject::Go],
        |subject| {
            let at = place(job, None, subject);
            let (name, cost) = (name(subject), number(figures.instructions(&at)?));
            Some(match figures.to_envoy(&at) {
                Some(ratio) => {
                    format!("{name} costs {cost} instructions, {} times Envoy's own", number(ratio))
                }
                None => format!("{name} costs {cost} instructions"),
            })
        },
    )?;
    Some(format!("Per request of the reference job ({}): {clauses}.", job.title))
}

fn cpu_time(figures: Figures<'_>, job: &Job) -> Option<String> {
    let clauses = clauses(
        &[Subject::Native, Subject::Wasm, Subject::WasmHeaders, Subject::Envoy],
        |subject| {
            let at = place(job, None, subject);
            let ratio = figures.paired(&at, Subject::None, Throughput::cpu_us)?.median;
            Some(format!("{} times with {}", number(ratio), name(subject)))
        },
    )?;
    Some(format!("CPU time of the whole request, against that without a filter: {clauses}."))
}

fn memory(figures: Figures<'_>, job: &Job) -> Option<String> {
    let bytes = |subject| figures.resident_bytes(&place(job, None, subject), 1);
    let none = bytes(Subject::None)?;
    let clauses = clauses(&[Subject::Native, Subject::Wasm], |subject| {
        // No minus before a zero.
        let more = (mib(bytes(subject)? - none) * 10.0).round() / 10.0 + 0.0;
        Some(format!("{} {more:+.1} MiB", name(subject)))
    })?;
    Some(format!("Memory of Envoy with one worker, against that without a filter: {clauses}."))
}

fn clauses(subjects: &[Subject], clause: impl Fn(Subject) -> Option<String>) -> Option<String> {
    let clauses: Vec<String> = subjects.iter().filter_map(|subject| clause(*subject)).collect();
    (!clauses.is_empty()).then(|| clauses.join("; "))
}

fn name(subject: Subject) -> String {
    match subject.artefact() {
        Some(_) => format!("`{}`", subject.title()),
        None => subject.title().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::report::sample;

    #[test]
    fn only_what_was_measured() {
        assert_eq!(
            text(&sample::results()),
            "Per request of the reference job (The reference job): `libpintle.so` costs 6,100 \
             instructions, 0.709 times Envoy's own; `pintle.wasm` costs 23,500 instructions, 2.73 \
             times Envoy's own; `pintle-headers.wasm` costs 23,000 instructions, 2.67 times Envoy's \
             own. CPU time of the whole request, against that without a filter: 1.10 \
             times with `libpintle.so`; 1.15 times with Envoy's own. Memory of Envoy with one \
             worker, against that without a filter: `libpintle.so` +1.0 MiB.\n\n"
        );
        let mut results = sample::results();
        results.instructions.clear();
        results.memory.clear();
        assert!(text(&results).starts_with("CPU time"), "{}", text(&results));
        assert_eq!(text(&sample::empty()), "");
    }
}
