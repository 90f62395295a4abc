//! `core` alone.

use super::figures::spread;
use super::grid::Grid;
use crate::bench::number::{number, range, shown};
use crate::bench::results::Results;

/// The part about it.
pub(super) fn text(results: &Results) -> String {
    let heading = "## `core` alone\n\n";
    if results.micro.is_empty() {
        return format!("{heading}It was not measured.\n\n");
    }
    let mut grid =
        Grid::new(["", "ns per request", "least to greatest", "heap allocations per request"]);
    for of in &results.micro {
        let time = spread(&of.samples_ns);
        grid.row([
            of.name.clone(),
            shown(time.map(|spread| spread.median)),
            range(time),
            number(of.allocations),
        ]);
    }
    format!(
        "{heading}The filters on a host in memory, without Envoy and without an ABI.\n\n{}",
        grid.markdown()
    )
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::report::sample;

    #[test]
    fn a_line_for_each() {
        let text = text(&sample::results());
        assert!(text.contains("| basic_auth | 81.0 | 80.0 to 82.0 | 0 |"), "{text}");
    }
}
