//! The main table in the repository's README.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{COST, embedded, origin, reference, short, summary};
use crate::bench::picture::Picture;
use crate::bench::results::Results;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Writes it anew between its marks.
pub(super) fn rewrite(file: &Path, results: &Results, pictures: &[Picture]) -> Result<()> {
    let readme =
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let readme = replaced(&readme, &text(results, pictures))
        .with_context(|| format!("the bench's part of {}", file.display()))?;
    std::fs::write(file, readme).with_context(|| format!("writing {}", file.display()))
}

fn text(results: &Results, pictures: &[Picture]) -> String {
    let table = match reference(results) {
        Some(job) => summary::text(results, job),
        None => "The reference job was not measured.\n\n".into(),
    };
    let cost = pictures.iter().find(|picture| picture.name == COST);
    let picture = cost.map(|picture| embedded(picture, "bench/pictures")).unwrap_or_default();
    let left_out: String =
        results.left_out.iter().map(|line| format!("Left out: {}\n\n", short(line))).collect();
    format!(
        "{table}{picture}{left_out}Made by `cargo xtask bench`: {}. Every scenario, latency, memory, \
         and what the figures do not show: [bench/report.md](bench/report.md).",
        origin::line(results)
    )
}

fn replaced(readme: &str, text: &str) -> Result<String> {
    let (Some((before, rest)), Some((_, after))) =
        (readme.split_once(BEGIN), readme.split_once(END))
    else {
        bail!("there is no {BEGIN} or no {END}");
    };
    if !rest.contains(END) {
        bail!("{END} stands before {BEGIN}");
    }
    Ok(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{replaced, rewrite, text};
    use crate::bench::report::sample;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let readme = "# A\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nB\n";
        let new = replaced(readme, "new").unwrap();
        assert_eq!(new, "# A\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nB\n");
        assert_eq!(replaced(&new, "new").unwrap(), new);
        for broken in ["", "<!-- bench:begin -->", "<!-- bench:end --><!-- bench:begin -->"] {
            assert!(replaced(broken, "new").is_err(), "{broken:?}");
        }
        assert!(rewrite("/nowhere".as_ref(), &sample::empty(), &[]).is_err());
    }

    #[test]
    fn says_where_it_is_from() {
        let text = text(&sample::results(), &[]);
        let line = "Made by `cargo xtask bench`: 2026-01-31, commit `0123456789`, Envoy 1.40.0, \
                    2 cores of A processor.";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn the_repository_has_the_marks() {
        let readme = include_str!("../../../../README.md");
        assert!(replaced(readme, "").is_ok());
    }
}
