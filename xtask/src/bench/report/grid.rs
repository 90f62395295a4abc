//! Tables of figures, in Markdown and on a terminal.

use crate::bench::number::{MISSING, number, range};
use crate::bench::statistics::Spread;
use crate::table::{Mood, Table};

/// A table whose first column names what the others are figures of.
#[derive(Debug, Default)]
pub(super) struct Grid {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table without rows.
    pub(super) fn new(headings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { headings: headings.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there are no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Without the columns that have no figure at all.
    pub(super) fn filled(mut self) -> Self {
        for column in (1..self.headings.len()).rev() {
            let missing = |row: &Vec<String>| row.get(column).is_none_or(|cell| cell == MISSING);
            if self.rows.iter().all(missing) {
                self.headings.remove(column);
                self.rows.iter_mut().filter(|row| row.len() > column).for_each(|row| {
                    row.remove(column);
                });
            }
        }
        self
    }

    /// As Markdown, an empty line behind it. Figures stand to the right.
    pub(super) fn markdown(&self) -> String {
        let ruler = (0..self.headings.len()).map(|at| if at == 0 { "---" } else { "---:" });
        self.lines(&ruler.collect::<Vec<_>>().join("|"))
    }

    /// As Markdown, for words: all stands to the left.
    pub(super) fn prose(&self) -> String {
        self.lines(&vec!["---"; self.headings.len()].join("|"))
    }

    /// As aligned text.
    pub(super) fn terminal(&self) -> String {
        let lines = || std::iter::once(&self.headings).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        let mut table = Table::default();
        for (at, row) in lines().enumerate() {
            let aligned = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { cell.clone() } else { format!("{cell:>width$}") }
            });
            table.row(if at == 0 { Mood::Heading } else { Mood::Plain }, aligned);
        }
        table.render()
    }

    fn lines(&self, ruler: &str) -> String {
        let line = |cells: &Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rows: String = self.rows.iter().map(line).collect();
        format!("{}|{ruler}|\n{rows}\n", line(&self.headings))
    }
}

/// A cell: the median, and least to greatest behind it where these differ.
pub(super) fn spanned(spread: Option<Spread>) -> String {
    let Some(spread) = spread else { return MISSING.into() };
    let median = number(spread.median);
    match [spread.min, spread.max].iter().all(|end| number(*end) == median) {
        true => median,
        false => format!("{median} ({})", range(Some(spread))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Grid, spanned};
    use crate::bench::statistics::Spread;

    #[test]
    fn ends_are_shown_where_they_differ() {
        assert_eq!(spanned(Spread::of(&[1.1, 1.0, 1.07])), "1.07 (1.00 to 1.10)");
        assert_eq!(spanned(Spread::of(&[1.0, 1.001])), "1.00");
        assert_eq!(spanned(None), "–");
    }

    #[test]
    fn columns_without_figures_go() {
        let mut grid = Grid::new(["who", "n", "m"]);
        grid.row(["a".into(), "–".into(), "1".into()]);
        grid.row(["b".into(), "–".into(), "–".into()]);
        assert_eq!(grid.filled().markdown(), "| who | m |\n|---|---:|\n| a | 1 |\n| b | – |\n\n");
    }

    #[test]
    fn both_forms() {
        let mut grid = Grid::new(["who", "n"]);
        assert!(grid.is_empty());
        grid.row(["a|b".into(), "1,000".into()]);
        assert_eq!(grid.markdown(), "| who | n |\n|---|---:|\n| a\\|b | 1,000 |\n\n");
        assert_eq!(grid.prose(), "| who | n |\n|---|---|\n| a\\|b | 1,000 |\n\n");
        assert!(grid.terminal().ends_with("a|b  1,000\n"), "{}", grid.terminal());
    }
}
