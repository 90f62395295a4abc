//! How costs grow with rules and credentials.

use anyhow::Result;

use super::Picture;
use super::costs::{Costs, Unit};
use super::lines::{Line, Panel, Panels};
use super::page::Page;
use super::scale::Scale;
use crate::bench::number::separated;
use crate::bench::results::{Job, Results};
use crate::bench::subject::Subject;

/// On a scale from nothing, costs this far apart would press the smallest of them onto the axis.
const FAR_APART: f64 = 12.0;

/// Growth past this is told as a factor.
const MANIFOLD: f64 = 3.0;

/// None where nothing was measured at two sizes.
pub(crate) fn draw(results: &Results, costs: &Costs) -> Result<Option<Picture>> {
    let jobs = results.scenarios.iter().filter(|job| job.varies.is_some());
    let grown = |job| Some((job, lines(job, costs)?));
    let grown: Vec<(&Job, Vec<Line>)> = jobs.filter_map(grown).collect();
    if grown.is_empty() {
        return Ok(None);
    }
    let scale = scale(grown.iter().flat_map(|(_, lines)| lines));
    let panel = |(job, lines): (&Job, Vec<Line>)| Panel {
        heading: costs.heading(job),
        axis: job.varies.clone().unwrap_or_default(),
        across: across(job, costs),
        scale,
        lines,
    };
    let panels = Panels::of(
        grown.into_iter().map(panel).collect(),
        match costs.unit {
            Unit::Instructions => separated,
            Unit::CpuTime => |value| format!("{value:.1}"),
        },
    );
    let title = format!("What larger configurations cost, in {}", costs.unit.name());
    let scales = match scale {
        Scale::Linear(_) => "",
        Scale::Log(..) => " Logarithmic scales, the same in all panels.",
    };
    let changes = match costs.unit.has_ratios() {
        true => "Beside the names: the change from the smallest size to the largest.",
        false => "",
    };
    let page = Page {
        name: "growth",
        about: vec![costs.unit.about().into(), format!("{changes}{scales}")],
        alt: format!("{title}: lines by subject against the size"),
        figures: panels.listed(),
        title,
        height: panels.height(),
    };
    page.draw(|area| panels.draw(area)).map(Some)
}

/// Ours stand before the others. None of subjects with one size, which cannot grow.
fn lines(job: &Job, costs: &Costs) -> Option<Vec<Line>> {
    let sizes = costs.sizes(&job.id);
    let line = |subject: Subject| {
        let points = sizes.iter().filter_map(|size| {
            let figures = costs.at(&job.id, Some(*size));
            let (_, cost) = figures.into_iter().find(|(other, _)| *other == subject)?;
            Some((place(*size), cost))
        });
        let points: Vec<(f64, f64)> = points.collect();
        let change = change(&points)?;
        let label = match costs.unit.has_ratios() {
            true => format!("{} {change}", subject.title()),
            false => subject.title().to_owned(),
        };
        Some(Line { subject, points, label })
    };
    let lines: Vec<Line> = Subject::ALL.into_iter().rev().filter_map(line).collect();
    (!lines.is_empty()).then_some(lines)
}

/// One for all panels.
fn scale<'l>(lines: impl Iterator<Item = &'l Line> + Clone) -> Scale {
    let values = lines.flat_map(|line| line.points.iter().map(|(_, value)| *value));
    let least = values.clone().fold(f64::MAX, f64::min);
    match values.clone().all(|value| value <= least * FAR_APART) {
        true => Scale::linear(values),
        false => Scale::log(values),
    }
}

fn across(job: &Job, costs: &Costs) -> Vec<(f64, String)> {
    let sizes = costs.sizes(&job.id).into_iter();
    sizes.map(|size| (place(size), separated(size.into()))).collect()
}

fn place(size: u32) -> f64 {
    f64::from(size.max(1)).log10()
}

/// From the first point to the last; none where there are not two.
fn change(points: &[(f64, f64)]) -> Option<String> {
    let [(_, first), .., (_, last)] = points else { return None };
    Some(match last / first {
        _ if *first <= 0.0 || *last <= 0.0 => "?".into(),
        times if times >= MANIFOLD => format!("{times:.0}×"),
        // No minus before a zero.
        times => format!("{:+.0} %", ((times - 1.0) * 100.0).round() + 0.0),
    })
}
