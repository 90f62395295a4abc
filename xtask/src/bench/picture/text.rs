//! Text: its sizes, and how much room it takes.

use anyhow::Result;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBColor, TextStyle};

use super::page::Area;
use super::palette;
use crate::bench::subject::Subject;

/// What readers have: the fonts of their system.
const FAMILY: FontFamily<'static> =
    FontFamily::Name("system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif");

/// The plotting crate takes the height of a line for the size of a font.
const LINE_TO_SIZE: f64 = 1.24;

/// How much wider bold letters are.
const BOLD: f64 = 1.12;

/// A font.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    pixels: f64,
    bold: bool,
}

/// Of a picture's title.
pub(crate) const TITLE: Font = Font { pixels: 18.0, bold: true };
/// Of a panel's title.
pub(crate) const HEADING: Font = Font { pixels: 13.0, bold: true };
/// Of all else.
pub(crate) const BODY: Font = Font { pixels: 13.0, bold: false };

/// From one line to the next.
pub(crate) const LINE: i32 = 17;

impl Font {
    /// Of what belongs to a subject.
    pub(crate) const fn of(subject: Subject) -> Self {
        Self { bold: palette::is_ours(subject), ..BODY }
    }

    /// How text looks, and which of its points is the one given.
    pub(crate) fn style(self, colour: RGBColor, across: HPos, down: VPos) -> TextStyle<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = FontDesc::new(FAMILY, self.pixels * LINE_TO_SIZE, style);
        TextStyle { font, color: colour.to_backend_color(), pos: Pos::new(across, down) }
    }

    /// About how wide text is in a wide font, in pixels.
    pub(crate) fn width(self, text: &str) -> i32 {
        let bold = if self.bold { BOLD } else { 1.0 };
        (text.chars().map(share).sum::<f64>() * self.pixels * bold).ceil() as i32
    }

    /// Lines no wider than so many pixels.
    pub(crate) fn wrap(self, text: &str, width: i32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }

    /// Writes lines from the point at their upper left.
    pub(crate) fn write(
        self,
        area: &Area<'_>,
        lines: &[String],
        at: (i32, i32),
        colour: RGBColor,
    ) -> Result<()> {
        let style = self.style(colour, HPos::Left, VPos::Top);
        for (line, top) in lines.iter().zip((at.1..).step_by(LINE as usize)) {
            area.draw_text(line, &style, (at.0, top))?;
        }
        Ok(())
    }
}

/// The width of a letter as a share of the size of its font.
fn share(letter: char) -> f64 {
    match letter {
        ' ' | '.' | ',' | ':' | ';' | '\'' | '·' | 'i' | 'j' | 'l' => 0.32,
        'f' | 'r' | 't' | '-' | '/' | '(' | ')' => 0.41,
        'm' | 'w' | 'M' | 'W' | '+' | '×' | '%' => 0.92,
        'A'..='Z' => 0.7,
        _ => 0.63,
    }
}

#[cfg(test)]
mod tests {
    use super::BODY;

    #[test]
    fn lines_break_between_words() {
        let lines = BODY.wrap("a few words, and_one_that_is_too_wide", BODY.width("a few words,"));
        assert_eq!(lines, ["a few words,", "and_one_that_is_too_wide"]);
        assert!(BODY.wrap("", 100).is_empty());
    }
}
