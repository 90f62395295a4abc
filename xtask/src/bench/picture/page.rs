//! One picture: a title, a few words, and room for panels.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::prelude::SVGBackend;

use super::{Picture, palette, text};

/// Some of a picture, in pixels from its upper left corner.
pub(crate) type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;

/// As wide as the text of a README, so that letters are shown in their own size.
pub(crate) const WIDTH: i32 = 760;

/// Of panels, where they stand side by side.
pub(crate) const COLUMNS: usize = 2;
/// Between columns, in pixels.
pub(crate) const GUTTER: i32 = 24;
/// How wide a column is, in pixels.
pub(crate) const COLUMN: i32 = (WIDTH - GUTTER) / COLUMNS as i32;

/// A picture but for its panels.
pub(crate) struct Page {
    /// The name of its file.
    pub(crate) name: &'static str,
    /// What one sees, and its unit.
    pub(crate) title: String,
    /// What one has to know, each from a line of its own.
    pub(crate) about: Vec<String>,
    /// What it shows, in short, where it stands beside a table; with the figures where it does not.
    pub(crate) alt: String,
    /// All that it shows, in words.
    pub(crate) figures: String,
    /// How high the panels are together, in pixels.
    pub(crate) height: i32,
}

impl Page {
    /// Draws it, and the panels by what is given.
    pub(crate) fn draw(self, panels: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<Picture> {
        let title = text::TITLE.wrap(&self.title, WIDTH);
        let about = self.about.iter().flat_map(|words| text::BODY.wrap(words, WIDTH));
        let about: Vec<String> = about.collect();
        let under_title = 8 + 24 * title.len() as i32;
        let head = under_title + text::LINE * about.len() as i32 + 12;
        let mut svg = String::new();
        let size = (WIDTH as u32, (head + self.height) as u32);
        let page = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        text::TITLE.write(&page, &title, (0, 4), palette::INK)?;
        text::BODY.write(&page, &about, (0, under_title), palette::INK)?;
        panels(&page.split_vertically(head).1)?;
        page.present()?;
        drop(page);
        let svg = named(&svg, &self.title, &self.figures);
        Ok(Picture { name: self.name, alt: self.alt, svg })
    }
}

/// The same for programs that read pages aloud.
fn named(svg: &str, title: &str, figures: &str) -> String {
    let (title, figures) = (escaped(title), escaped(figures));
    let head = r#"<svg role="img" aria-labelledby="title about" "#;
    let names =
        format!(">\n<title id=\"title\">{title}</title>\n<desc id=\"about\">{figures}</desc>\n");
    svg.replacen("<svg ", head, 1).replacen(">\n", &names, 1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
