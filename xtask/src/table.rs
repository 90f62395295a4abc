//! Aligned tables, in colour on a terminal.

use std::io::IsTerminal;

/// A table whose last column says whether all is well.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    mood: Mood,
}

/// How a row looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As a heading.
    Heading,
    /// All is well.
    Well,
    /// Something is wrong.
    Wrong,
    /// Nothing to say.
    Plain,
}

impl Mood {
    const fn colour(self) -> &'static str {
        match self {
            Self::Heading => "\x1b[1m",
            Self::Well => "\x1b[32m",
            Self::Wrong => "\x1b[1;31m",
            Self::Plain => "",
        }
    }
}

impl Table {
    /// Adds a row. Cells may have several lines.
    pub(crate) fn row(&mut self, mood: Mood, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(Row { cells: cells.into_iter().map(Into::into).collect(), mood });
    }

    /// The table as text, for standard output as it is.
    pub(crate) fn render(&self) -> String {
        self.text(std::io::stdout().is_terminal())
    }

    fn text(&self, colours: bool) -> String {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            cells
                .flat_map(|cell| cell.lines())
                .map(|line| line.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let lines = row.cells.iter().map(|cell| cell.lines().count()).max().unwrap_or_default();
            for line in 0..lines {
                let mut shown = String::new();
                for (column, (cell, width)) in row.cells.iter().zip(&widths).enumerate() {
                    let part = cell.lines().nth(line).unwrap_or_default();
                    let last = column + 1 == row.cells.len();
                    let coloured =
                        colours && (row.mood == Mood::Heading || last) && !part.is_empty();
                    let padding = " ".repeat(width.saturating_sub(part.chars().count()) + 2);
                    match coloured {
                        true => shown += &format!("{}{part}\x1b[0m{padding}", row.mood.colour()),
                        false => shown += &format!("{part}{padding}"),
                    }
                }
                text += shown.trim_end();
                text.push('\n');
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Mood, Table};

    #[test]
    fn columns_line_up() {
        let mut table = Table::default();
        table.row(Mood::Heading, ["a", "b"]);
        table.row(Mood::Well, ["long", "x\ny"]);
        assert_eq!(table.text(false), "a     b\nlong  x\n      y\n");
        assert!(table.text(true).contains("\x1b[32mx\x1b[0m"));
    }
}
