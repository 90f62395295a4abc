//! Places in a file, also of text that stands inside of another text: JSON in a block scalar of YAML,
//! YAML in a value of a ConfigMap.

use std::fmt;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Text, and where its characters stand in the file.
pub struct Text {
    content: String,
    /// Where they stand in the text itself; in the order of both.
    own: Vec<Run>,
    /// Where they stand in the file, in the order of their offsets.
    outer: Vec<Run>,
}

/// Characters that stand one after another, in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Of its first character, in bytes of the content.
    pub(crate) offset: usize,
    /// The place of its first character.
    pub(crate) at: Position,
}

/// After so many bytes a run is followed by another one, so that no place in a long line is far from the
/// start of one.
const LONGEST_RUN_BYTES: usize = 256;

impl Text {
    /// A whole file. A byte order mark goes; it counts as no character.
    pub fn of_file(content: &str) -> Self {
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let own = own_runs(content);
        Self { content: content.to_owned(), outer: own.clone(), own }
    }

    /// Text from inside of another one. Without runs all of it stands from `start` on.
    pub(crate) fn inside(content: String, start: Position, runs: Vec<Run>) -> Self {
        let mut outer = runs;
        if outer.first().is_none_or(|run| run.offset > 0) {
            outer.insert(0, Run { offset: 0, at: start });
        }
        let (own, outer) = (own_runs(&content), split(&content, &outer));
        Self { content, own, outer }
    }

    /// The text itself.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Where the character at this offset, in bytes, stands in the file.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.floor(offset);
        let after = self.outer.partition_point(|run| run.offset <= offset);
        let Some(run) = after.checked_sub(1).and_then(|place| self.outer.get(place)) else {
            return Position { line: 1, column: 1 };
        };
        let between = self.content.get(run.offset..offset).unwrap_or_default();
        let between = between.chars().take_while(|c| !matches!(c, '\n' | '\r')).count();
        Position { column: run.at.column + between, ..run.at }
    }

    /// The offset of a line and a column of the text itself, both from 1, the column in characters.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let after = self.own.partition_point(|run| run.at <= Position { line, column });
        let Some(run) = after.checked_sub(1).and_then(|place| self.own.get(place)) else {
            return 0;
        };
        let rest = self.content.get(run.offset..).unwrap_or_default();
        let more = if run.at.line == line { column - run.at.column } else { usize::MAX };
        let place = rest.char_indices().nth(more);
        place.map_or(self.content.len(), |(place, _)| run.offset + place)
    }

    /// Like [`Text::offset`], with the column in bytes and lines as JSON has them.
    pub(crate) fn offset_of_byte(&self, line: usize, column: usize) -> usize {
        let ends = self.content.match_indices('\n').map(|(end, _)| end + 1);
        let start = std::iter::once(0).chain(ends).nth(line.saturating_sub(1));
        let start = start.unwrap_or(self.content.len());
        self.floor(start + column.saturating_sub(1))
    }

    /// The start of the character that has this byte.
    fn floor(&self, offset: usize) -> usize {
        self.content.floor_char_boundary(offset)
    }
}

/// Shows no text: it may be a secret.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.content.len())
    }
}

/// One for each line. Line breaks are those of YAML (YAML 1.2.2 section 5.4): LF, CR, and both together.
fn own_runs(content: &str) -> Vec<Run> {
    let bytes = content.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(place, byte)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(place + 1) != Some(&b'\n'),
        _ => false,
    });
    let starts = std::iter::once(0).chain(ends.map(|(place, _)| place + 1));
    let run = |(line, offset)| Run { offset, at: Position { line: line + 1, column: 1 } };
    split(content, &starts.enumerate().map(run).collect::<Vec<_>>())
}

/// Splits what is long.
fn split(content: &str, runs: &[Run]) -> Vec<Run> {
    let ends = runs.iter().skip(1).map(|run| run.offset).chain([content.len()]);
    let mut all = Vec::with_capacity(runs.len());
    for (&run, end) in runs.iter().zip(ends) {
        let mut run = run;
        all.push(run);
        while end.saturating_sub(run.offset) > LONGEST_RUN_BYTES {
            let offset = content.floor_char_boundary(run.offset + LONGEST_RUN_BYTES);
            let between = content.get(run.offset..offset).unwrap_or_default();
            // Runs of another text may go on over line breaks, where nothing more is known.
            if between.is_empty() || between.contains(['\n', '\r']) {
                break;
            }
            let column = run.at.column + between.chars().count();
            run = Run { offset, at: Position { column, ..run.at } };
            all.push(run);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{Position, Run, Text};

    fn at(line: usize, column: usize) -> Position {
        Position { line, column }
    }

    #[test]
    fn of_a_file() {
        let text = Text::of_file("\u{feff}a\u{e9}b\r\nc\rd\n\ne");
        for (offset, position) in [
            (0, at(1, 1)),
            (1, at(1, 2)),
            (2, at(1, 2)),
            (3, at(1, 3)),
            (6, at(2, 1)),
            (8, at(3, 1)),
        ] {
            assert_eq!(text.position(offset), position, "{offset}");
        }
        assert_eq!(text.position(11), at(5, 1));
        assert_eq!(text.position(1000), at(5, 2));
        assert_eq!(text.offset(1, 3), 3);
        assert_eq!(text.offset(3, 1), 8);
        assert_eq!(text.offset(9, 9), text.content().len());
        assert_eq!(format!("{text:?}"), "Text(12 bytes)");
    }

    #[test]
    fn long_lines() {
        let line = "\u{e9}x".repeat(1000);
        let text = Text::of_file(&format!("{line}\n{line}"));
        for column in [1, 2, 255, 256, 257, 1999, 2000] {
            let offset = text.offset(2, column);
            assert_eq!(offset, 3001 + (column - 1) / 2 * 3 + (column - 1) % 2 * 2);
            assert_eq!(text.position(offset), at(2, column));
        }
        assert_eq!(text.offset(3, 1), text.content().len());
        let inside = Text::inside(line, at(4, 7), Vec::new());
        assert_eq!(inside.position(1500), at(4, 1007));
    }

    #[test]
    fn inside_of_another() {
        let runs = vec![Run { offset: 2, at: at(7, 5) }];
        let text = Text::inside("{\n\u{e9} }".to_owned(), at(6, 10), runs);
        assert_eq!(text.position(0), at(6, 10));
        assert_eq!(text.position(2), at(7, 5));
        assert_eq!(text.position(5), at(7, 7));
        assert_eq!(text.offset_of_byte(2, 3), 4);
        let nowhere = Text::inside("abc".to_owned(), at(2, 2), Vec::new());
        assert_eq!(nowhere.position(2), at(2, 4));
    }
}
