//! What a run found, for people: `report.md` with pictures, the README's table, the terminal.

mod answer;
mod bounds;
pub(super) mod figures;
mod grid;
mod latency;
mod memory;
mod micro;
pub(super) mod origin;
mod readme;
#[cfg(test)]
pub(super) mod sample;
mod scenarios;
mod summary;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::picture::{self, Picture};
use super::results::{Job, Results};
use super::scenario::REFERENCE;
use crate::cargo::Workspace;

/// The picture that the README shows.
const COST: &str = "cost";

const LIMITS: &str = include_str!("report/limits.md");

/// Writes the report and its pictures, for a full run also into the README, and shows the main
/// figures.
pub(crate) fn write(workspace: &Workspace, results: &Results) -> Result<()> {
    let folder = results.folder(workspace);
    let pictures = picture::all(results).context("drawing")?;
    clear(&folder.join("pictures"))?;
    for picture in &pictures {
        let file = folder.join("pictures").join(picture.name).with_extension("svg");
        save(workspace, &file, &picture.svg)?;
    }
    save(workspace, &folder.join("report.md"), &render(results, &pictures))?;
    if results.are_complete() {
        readme::rewrite(&workspace.root.join("README.md"), results, &pictures)?;
        println!("wrote README.md");
    }
    print!("{}", terminal(results));
    Ok(())
}

/// The report.
fn render(results: &Results, pictures: &[Picture]) -> String {
    let mut shown: BTreeMap<Part, String> = BTreeMap::new();
    for picture in pictures {
        *shown.entry(Part::of(picture)).or_default() += &embedded(picture, "pictures");
    }
    let mut shown = |part| shown.remove(&part).unwrap_or_default();
    [
        origin::text(results),
        main_table(results),
        shown(Part::Main),
        bounds::text(results),
        missing(results),
        scenarios::text(results, &shown(Part::Scenarios)),
        latency::text(results, &shown(Part::Latency)),
        memory::text(results, &shown(Part::Memory)),
        micro::text(results),
        LIMITS.to_owned(),
    ]
    .concat()
}

/// Where a picture stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Main,
    Scenarios,
    Latency,
    Memory,
}

impl Part {
    fn of(picture: &Picture) -> Self {
        match picture.name {
            COST => Self::Main,
            name if name.starts_with("latency") => Self::Latency,
            name if name.starts_with("memory") => Self::Memory,
            _ => Self::Scenarios,
        }
    }
}

fn main_table(results: &Results) -> String {
    let heading = "## The reference job\n\n";
    match reference(results) {
        Some(job) => format!("{heading}{}", summary::text(results, job)),
        None => format!("{heading}It was not measured.\n\n"),
    }
}

/// What there are no figures of, and why.
fn missing(results: &Results) -> String {
    let mut text = String::new();
    for (heading, lines) in [("Left out", &results.left_out), ("What went wrong", &results.failed)]
    {
        if !lines.is_empty() {
            let items: String = lines.iter().map(|line| format!("- {}\n", short(line))).collect();
            text += &format!("## {heading}\n\n{items}\n");
        }
    }
    text
}

/// The first line, which tells what it is about; the results have all of them.
fn short(text: &str) -> String {
    match text.trim().split_once('\n') {
        Some((first, _)) => format!("{} (...)", first.trim_end()),
        None => text.trim().to_owned(),
    }
}

/// The main figures, then the bounds.
fn terminal(results: &Results) -> String {
    let jobs: Vec<&Job> = match (results.full, reference(results)) {
        (true, Some(job)) => vec![job],
        _ => results.scenarios.iter().collect(),
    };
    let tables: String = jobs.iter().map(|job| summary::terminal(results, job)).collect();
    let lines = |name: &str, lines: &[String]| -> String {
        lines.iter().map(|line| format!("{name}: {line}\n")).collect()
    };
    [
        tables,
        bounds::terminal(results),
        lines("left out", &results.left_out),
        lines("failed", &results.failed),
    ]
    .concat()
}

fn reference(results: &Results) -> Option<&Job> {
    results.scenarios.iter().find(|job| job.id == REFERENCE)
}

fn embedded(picture: &Picture, folder: &str) -> String {
    let alt: String = picture.alt.split_whitespace().collect::<Vec<_>>().join(" ");
    let alt = alt.replace('[', "(").replace(']', ")");
    format!("![{alt}]({folder}/{}.svg)\n\n", picture.name)
}

/// Removes the pictures of earlier runs: some may not be drawn any more.
fn clear(folder: &Path) -> Result<()> {
    let Ok(files) = std::fs::read_dir(folder) else { return Ok(()) };
    for file in files {
        let file = file.with_context(|| format!("reading {}", folder.display()))?.path();
        if file.extension().is_some_and(|extension| extension == "svg") {
            std::fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        }
    }
    Ok(())
}

fn save(workspace: &Workspace, file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().unwrap_or(&workspace.root);
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    println!("wrote {}", file.strip_prefix(&workspace.root).unwrap_or(file).display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::picture::Picture;
    use super::{clear, render, sample, terminal};

    #[test]
    fn a_report_has_all_parts_and_no_nonsense() {
        let picture = |name| Picture { name, alt: "What [it]\nshows".into(), svg: String::new() };
        let mut results = sample::results();
        results.failed.push("latency: first\n\nsecond".into());
        let report = render(&results, &[picture("cost"), picture("latency-reference")]);
        for part in [
            "| commit | `0123456789` |",
            "![What (it) shows](pictures/cost.svg)",
            "![What (it) shows](pictures/latency-reference.svg)",
            "## The reference job",
            "## What was to be reached",
            "## Left out",
            "- Go: install Go 1.24\n",
            "- latency: first (...)\n\n",
            "costs 6,100 instructions, 0.709 times Envoy's own;",
            "### Basic auth by rules",
            "## Latency",
            "## Memory",
            "## `core` alone",
            "## What these figures do not show",
        ] {
            assert!(report.contains(part), "{part:?} is not in\n{report}");
        }
        for nonsense in ["NaN", "inf ", "| 0 |  |", "\n\n\n"] {
            assert!(!report.contains(nonsense), "{nonsense:?} is in\n{report}");
        }
        assert!(report.find("cost.svg") < report.find("latency-reference.svg"));
    }

    #[test]
    fn nothing_measured_is_a_report_too() {
        let results = sample::empty();
        let report = render(&results, &[]);
        assert!(report.contains("not measured") && !report.contains("NaN"), "{report}");
        assert!(!terminal(&results).is_empty());
    }

    #[test]
    fn pictures_of_earlier_runs_go() {
        let folder = format!("pintle-pictures-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["old.svg", "notes.md"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        clear(&folder).unwrap();
        let left = [folder.join("old.svg").exists(), folder.join("notes.md").exists()];
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(left, [false, true]);
        assert!(clear(&folder).is_ok(), "there is none yet");
    }

    /// Names of fields, and of subjects; those of tools are anybody's.
    fn names<'v>(value: &'v Value, into: &mut BTreeSet<&'v str>) {
        match value {
            Value::Array(list) => list.iter().for_each(|item| names(item, into)),
            Value::Object(fields) => fields.iter().for_each(|(name, value)| {
                into.insert(name);
                if name != "tools" {
                    names(value, into);
                }
            }),
            _ => {}
        }
    }

    #[test]
    fn the_form_of_the_file_is_documented() {
        let manual = include_str!("../../../bench/README.md");
        let results = serde_json::to_value(sample::results()).unwrap();
        let mut fields = BTreeSet::new();
        names(&results, &mut fields);
        let missing: Vec<&str> =
            fields.into_iter().filter(|name| !manual.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "bench/README.md says nothing of {missing:?}");
    }
}
