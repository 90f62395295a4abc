//! Panels of horizontal bars, one per subject.

use anyhow::Result;
use plotters::chart::ChartBuilder;
use plotters::element::{EmptyElement, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle};

use super::page::Area;
use super::palette;
use super::text::Font;
use crate::bench::subject::Subject;

/// From a bar to what is written beside it, in pixels.
const GAP: i32 = 7;

/// The share of a row that is left empty above its bar, and as much below.
const EMPTY: f64 = 0.17;

/// One bar.
pub(crate) struct Bar {
    /// Whose.
    pub(crate) subject: Subject,
    /// How long.
    pub(crate) value: f64,
    /// What is written at its end.
    pub(crate) label: String,
}

/// What the panels of one picture have in common.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Room for the names of subjects, in pixels.
    pub(crate) names: i32,
    /// Room for bars and what is written at their ends.
    room: i32,
    /// The height of a bar with what is left empty around it.
    row: i32,
    /// Pixels of a bar of value 1.
    scale: f64,
}

impl Layout {
    /// Of panels with these bars, all of one scale. `column` is the room for bars beside so wide names.
    pub(crate) fn of<'b>(
        bars: impl Iterator<Item = &'b Bar> + Clone,
        column: impl Fn(i32) -> i32,
        row: i32,
    ) -> Self {
        let name = |bar: &Bar| Font::of(bar.subject).width(bar.subject.title()) + GAP;
        let names = bars.clone().map(name).max().unwrap_or(0);
        let room = column(names);
        let longest = |bar: &Bar| {
            let pixels = room - Font::of(bar.subject).width(&bar.label) - GAP;
            f64::from(pixels.max(1)) / bar.value
        };
        let scale = bars.filter(|bar| bar.value > 0.0).map(longest).reduce(f64::min);
        Self { names, room, row, scale: scale.unwrap_or(1.0) }
    }

    /// How high so many bars are.
    pub(crate) fn height(&self, bars: usize) -> i32 {
        self.row * bars as i32
    }

    /// How wide bars are, with what is written at their ends.
    pub(crate) fn width(&self) -> i32 {
        self.room
    }

    /// Draws bars, their upper left corner here.
    pub(crate) fn draw(&self, area: &Area<'_>, at: (i32, i32), bars: &[Bar]) -> Result<()> {
        let rows = bars.len() as f64;
        let area = area.clone().shrink(at, (self.room, self.height(bars.len())));
        let mut chart = ChartBuilder::on(&area)
            .build_cartesian_2d(0.0..f64::from(self.room) / self.scale, rows..0.0)?;
        for (bar, top) in from_top(bars) {
            let corners = [(0.0, top + EMPTY), (bar.value.max(0.0), top + 1.0 - EMPTY)];
            let colour = palette::colour(bar.subject);
            if palette::is_floor(bar.subject) {
                chart.draw_series([Rectangle::new(corners, colour.mix(0.25).filled())])?;
                chart.draw_series([Rectangle::new(corners, ShapeStyle::from(colour))])?;
            } else {
                chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            }
        }
        chart.draw_series(from_top(bars).map(|(bar, top)| {
            let style = Font::of(bar.subject).style(ink(bar.subject), HPos::Left, VPos::Center);
            EmptyElement::at((bar.value.max(0.0), top + 0.5))
                + Text::new(bar.label.clone(), (GAP, 0), style)
        }))?;
        chart.draw_series([PathElement::new([(0.0, 0.0), (0.0, rows)], palette::INK)])?;
        Ok(())
    }

    /// Writes the names of subjects beside bars whose upper left corner is here.
    pub(crate) fn name(&self, area: &Area<'_>, at: (i32, i32), bars: &[Bar]) -> Result<()> {
        for (bar, top) in bars.iter().zip((at.1..).step_by(self.row as usize)) {
            let style = Font::of(bar.subject).style(ink(bar.subject), HPos::Right, VPos::Center);
            area.draw_text(bar.subject.title(), &style, (at.0 - GAP, top + self.row / 2))?;
        }
        Ok(())
    }
}

/// Bars as words.
pub(crate) fn listed(bars: &[Bar]) -> String {
    let words: Vec<String> =
        bars.iter().map(|bar| format!("{} {}", bar.subject.title(), bar.label)).collect();
    words.join("; ")
}

/// Bars, and the rows above them.
fn from_top(bars: &[Bar]) -> impl Iterator<Item = (&Bar, f64)> {
    bars.iter().zip((0..).map(f64::from))
}

/// Letters of thin strokes need more contrast than bars: only ours, which are bold, have colours.
fn ink(subject: Subject) -> RGBColor {
    if palette::is_ours(subject) { palette::colour(subject) } else { palette::INK }
}
