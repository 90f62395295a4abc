//! What every job of one size costs with each subject.

use anyhow::Result;

use super::bars::{self, Bar, Layout};
use super::costs::Costs;
use super::page::{Area, COLUMN, COLUMNS, GUTTER, Page};
use super::{Picture, palette, text};
use crate::bench::results::{Job, Results};

const ROW: i32 = 22;
/// Under a panel, in pixels.
const SPACE: i32 = 18;

struct Panel {
    heading: Vec<String>,
    bars: Vec<Bar>,
}

/// None where no such job was measured.
pub(crate) fn draw(results: &Results, costs: &Costs) -> Result<Option<Picture>> {
    let jobs = results.scenarios.iter().filter(|job| job.varies.is_none());
    let panels: Vec<Panel> = jobs.filter_map(|job| Panel::of(job, costs)).collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let bars = panels.iter().flat_map(|panel| &panel.bars);
    let layout = Layout::of(bars, |names| COLUMN - names, ROW);
    let rows: Vec<&[Panel]> = panels.chunks(COLUMNS).collect();
    let heights: Vec<i32> = rows.iter().map(|row| height(row, &layout)).collect();
    let title = format!("What each job costs, in {}", costs.unit.name());
    let signs = match costs.unit.has_ratios() {
        true => "×: ratio to Envoy's own filters for the same job. All panels have one scale.",
        false => "All panels have one scale.",
    };
    let page = Page {
        name: "scenarios",
        about: vec![costs.unit.about().into(), signs.into()],
        alt: format!("{title}: bars by subject, job by job"),
        figures: figures(&panels),
        title,
        height: heights.iter().sum(),
    };
    let page = page.draw(|area| {
        let mut top = 0;
        for (row, height) in rows.iter().zip(heights) {
            for (panel, left) in row.iter().zip((0..).step_by((COLUMN + GUTTER) as usize)) {
                panel.draw(area, (left, top), &layout)?;
            }
            top += height;
        }
        Ok(())
    });
    page.map(Some)
}

impl Panel {
    fn of(job: &Job, costs: &Costs) -> Option<Self> {
        let bars = costs.bars(&job.id);
        let heading = text::HEADING.wrap(&costs.heading(job), COLUMN);
        (!bars.is_empty()).then_some(Self { heading, bars })
    }

    fn draw(&self, area: &Area<'_>, (left, top): (i32, i32), layout: &Layout) -> Result<()> {
        text::HEADING.write(area, &self.heading, (left, top), palette::INK)?;
        let corner = (left + layout.names, top + self.head());
        layout.name(area, corner, &self.bars)?;
        layout.draw(area, corner, &self.bars)
    }

    fn head(&self) -> i32 {
        text::LINE * self.heading.len() as i32 + 4
    }
}

fn height(row: &[Panel], layout: &Layout) -> i32 {
    let heights = row.iter().map(|panel| panel.head() + layout.height(panel.bars.len()));
    heights.max().unwrap_or(0) + SPACE
}

fn figures(panels: &[Panel]) -> String {
    let panel =
        |panel: &Panel| format!("{}: {}.", panel.heading.join(" "), bars::listed(&panel.bars));
    panels.iter().map(panel).collect::<Vec<_>>().join(" ")
}
