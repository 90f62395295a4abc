//! The picture of the README: what the reference job costs with each subject.

use anyhow::Result;

use super::bars::{self, Bar, Layout};
use super::costs::{Costs, Unit};
use super::page::{Page, WIDTH};
use super::{Picture, palette};
use crate::bench::results::{Job, Results};
use crate::bench::scenario::REFERENCE;

const ROW: i32 = 28;

/// None where the reference job was not measured.
pub(crate) fn draw(results: &Results, costs: &Costs) -> Result<Option<Picture>> {
    let bars = costs.bars(REFERENCE);
    if bars.is_empty() {
        return Ok(None);
    }
    let job = results.scenarios.iter().find(|job| job.id == REFERENCE);
    let title = format!("What a filter costs, in {}", costs.unit.name());
    let layout = Layout::of(bars.iter(), |names| WIDTH - names, ROW);
    let figures = format!("{}: {}.", name(job), bars::listed(&bars));
    let page = Page {
        name: "cost",
        about: about(job, costs.unit, &bars),
        alt: format!("{title}: {figures}"),
        figures,
        title,
        height: layout.height(bars.len()) + 8,
    };
    page.draw(|area| {
        layout.name(area, (layout.names, 0), &bars)?;
        layout.draw(area, (layout.names, 0), &bars)
    })
    .map(Some)
}

fn about(job: Option<&Job>, unit: Unit, bars: &[Bar]) -> Vec<String> {
    let mut about = vec![format!("{}.", name(job)), unit.about().to_owned()];
    let mut signs = Vec::new();
    if let Some(job) = job.filter(|job| unit.has_ratios() && !job.envoy_filters.is_empty()) {
        signs.push(format!("×: ratio to Envoy's own {}.", job.envoy_filters.join(" + ")));
    }
    if bars.iter().any(|bar| palette::is_floor(bar.subject)) {
        signs.push("Pale: modules that do nothing.".into());
    }
    about.push(signs.join(" "));
    about
}

fn name(job: Option<&Job>) -> &str {
    job.map_or(REFERENCE, |job| &job.title)
}
