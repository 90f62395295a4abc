//! Panels of lines, one per subject, named at their ends.

use anyhow::Result;
use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement};
use plotters::prelude::SVGBackend;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

use super::page::{Area, COLUMN, COLUMNS, GUTTER};
use super::scale::Scale;
use super::text::Font;
use super::{labels, palette, text};
use crate::bench::subject::Subject;

/// Of a panel without its heading, in pixels.
const HEIGHT: i32 = 205;
/// Between panels, one below the other.
const SPACE: i32 = 22;
/// Between a heading and the lines.
const UNDER_HEADING: i32 = 10;
/// Below the axis, for its numbers and its name.
const FOOT: i32 = 42;
/// From the end of a line to its name, with what joins them.
const REACH: i32 = 16;

/// The line of a subject.
pub(crate) struct Line {
    /// Whose.
    pub(crate) subject: Subject,
    /// From left to right: where, and the value.
    pub(crate) points: Vec<(f64, f64)>,
    /// What is written at its end.
    pub(crate) label: String,
}

/// A panel.
pub(crate) struct Panel {
    /// What it shows.
    pub(crate) heading: String,
    /// What changes from left to right.
    pub(crate) axis: String,
    /// The places of points, and what is written under them.
    pub(crate) across: Vec<(f64, String)>,
    /// Of values.
    pub(crate) scale: Scale,
    /// Back to front.
    pub(crate) lines: Vec<Line>,
}

/// Panels side by side and one below the other, with as much room for texts in each.
pub(crate) struct Panels {
    panels: Vec<Panel>,
    /// Room for headings, in pixels.
    head: i32,
    /// How values are written.
    text: fn(f64) -> String,
    /// Room for values beside the axis.
    values: i32,
    /// Room for names at the ends of lines.
    names: i32,
}

type Chart<'c, 's> = ChartContext<'c, SVGBackend<'s>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Panels {
    /// These.
    pub(crate) fn of(panels: Vec<Panel>, text: fn(f64) -> String) -> Self {
        let ticks = panels.iter().flat_map(|panel| panel.scale.ticks());
        let values = ticks.map(|tick| text::BODY.width(&text(tick))).max().unwrap_or(0);
        let lines = panels.iter().flat_map(|panel| &panel.lines);
        let names = lines.map(|line| Font::of(line.subject).width(&line.label)).max().unwrap_or(0);
        let headings = panels.iter().map(|panel| panel.wrapped().len() as i32);
        let head = text::LINE * headings.max().unwrap_or(0) + UNDER_HEADING;
        Self { panels, head, text, values: values + 12, names: names + REACH }
    }

    /// How high they are together.
    pub(crate) fn height(&self) -> i32 {
        (self.head + HEIGHT + SPACE) * self.panels.len().div_ceil(COLUMNS) as i32 - SPACE
    }

    /// Draws them from the top of an area.
    pub(crate) fn draw(&self, area: &Area<'_>) -> Result<()> {
        let height = self.head + HEIGHT;
        let tops = (0..).step_by((height + SPACE) as usize);
        for (row, top) in self.panels.chunks(COLUMNS).zip(tops) {
            for (panel, left) in row.iter().zip((0..).step_by((COLUMN + GUTTER) as usize)) {
                self.draw_panel(panel, &area.clone().shrink((left, top), (COLUMN, height)))?;
            }
        }
        Ok(())
    }

    /// What they show, in words.
    pub(crate) fn listed(&self) -> String {
        let panel = |panel: &Panel| {
            let line = |line: &Line| {
                let values = line.points.iter().map(|(_, value)| (self.text)(*value));
                format!("{}: {}", line.label, values.collect::<Vec<_>>().join(", "))
            };
            let lines: Vec<String> = panel.lines.iter().rev().map(line).collect();
            let across: Vec<&str> = panel.across.iter().map(|(_, name)| name.as_str()).collect();
            format!("{} at {}: {}.", panel.heading, across.join(", "), lines.join("; "))
        };
        self.panels.iter().map(panel).collect::<Vec<_>>().join(" ")
    }

    fn draw_panel(&self, panel: &Panel, area: &Area<'_>) -> Result<()> {
        text::HEADING.write(area, &panel.wrapped(), (0, 0), palette::INK)?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(self.head)
            .margin_left(self.values)
            .margin_bottom(FOOT)
            .margin_right(self.names)
            .build_cartesian_2d(panel.ends(), panel.scale.ends())?;
        self.draw_axes(panel, area, &mut chart)?;
        for line in &panel.lines {
            panel.draw_line(line, &mut chart)?;
        }
        self.name_lines(panel, area, &chart)
    }

    fn draw_axes(&self, panel: &Panel, area: &Area<'_>, chart: &mut Chart<'_, '_>) -> Result<()> {
        let std::ops::Range { start: left, end: right } = panel.ends();
        let beside = text::BODY.style(palette::INK, HPos::Right, VPos::Center);
        for tick in panel.scale.ticks() {
            let place = panel.scale.place(tick);
            chart.draw_series([PathElement::new(
                [(left, place), (right, place)],
                palette::grid(),
            )])?;
            let (x, y) = within(area, chart, (left, place));
            area.draw_text(&(self.text)(tick), &beside, (x - 8, y))?;
        }
        let foot = panel.scale.ends().start;
        let under = text::BODY.style(palette::INK, HPos::Center, VPos::Top);
        for (place, name) in &panel.across {
            let (x, y) = within(area, chart, (*place, foot));
            area.draw_text(name, &under, (x, y + 7))?;
        }
        let (x, y) = within(area, chart, (f64::midpoint(left, right), foot));
        area.draw_text(&panel.axis, &under, (x, y + 7 + text::LINE))?;
        chart.draw_series([PathElement::new([(left, foot), (right, foot)], palette::INK)])?;
        Ok(())
    }

    fn name_lines(&self, panel: &Panel, area: &Area<'_>, chart: &Chart<'_, '_>) -> Result<()> {
        let end = |line: &Line| {
            let (x, value) = *line.points.last()?;
            Some(within(area, chart, (x, panel.scale.place(value))))
        };
        let named = panel.lines.iter().filter_map(|line| Some((line, end(line)?)));
        let named: Vec<(&Line, (i32, i32))> = named.collect();
        let bottom = self.head + HEIGHT - FOOT - text::LINE / 2;
        let left = COLUMN - self.names + REACH;
        let wanted: Vec<i32> = named.iter().map(|(_, (_, y))| *y).collect();
        let heights = labels::spread(&wanted, text::LINE, self.head, bottom);
        for ((line, (x, y)), height) in named.into_iter().zip(heights) {
            let colour = palette::colour(line.subject);
            let join = [(x + 5, y), (left - 3, height)];
            area.draw(&PathElement::new(join, colour.mix(0.6)))?;
            let style = Font::of(line.subject).style(colour, HPos::Left, VPos::Center);
            area.draw_text(&line.label, &style, (left, height))?;
        }
        Ok(())
    }
}

impl Panel {
    fn draw_line(&self, line: &Line, chart: &mut Chart<'_, '_>) -> Result<()> {
        let colour = palette::colour(line.subject);
        let place = |(x, value): &(f64, f64)| (*x, self.scale.place(*value));
        let points: Vec<(f64, f64)> = line.points.iter().map(place).collect();
        let width = match line.subject {
            Subject::None => 1,
            subject if palette::is_ours(subject) => 3,
            _ => 2,
        };
        let dot = |point: &(f64, f64)| Circle::new(*point, width + 1, colour.filled());
        chart.draw_series(points.iter().map(dot))?;
        chart.draw_series([PathElement::new(points, colour.stroke_width(width))])?;
        Ok(())
    }

    fn wrapped(&self) -> Vec<String> {
        text::HEADING.wrap(&self.heading, COLUMN)
    }

    /// From the first place to the last.
    fn ends(&self) -> std::ops::Range<f64> {
        match (self.across.first(), self.across.last()) {
            (Some((first, _)), Some((last, _))) if first < last => *first..*last,
            (Some((only, _)), _) => only - 1.0..*only,
            (None, _) => 0.0..1.0,
        }
    }
}

/// A point of the chart in pixels of the area that it stands in.
fn within(area: &Area<'_>, chart: &Chart<'_, '_>, point: (f64, f64)) -> (i32, i32) {
    let (x, y) = chart.plotting_area().map_coordinate(&point);
    let (left, top) = area.get_base_pixel();
    (x - left, y - top)
}
