//! Licences: their texts where they lie, and SPDX expressions of several.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

/// How files begin in which crates have their licences; the case does not matter.
const NAMES: [&str; 5] = ["COPYING", "COPYRIGHT", "LICEN", "NOTICE", "UNLICENSE"];

/// The licences in a crate's folder.
pub(crate) fn of_folder(folder: &Path) -> Result<Vec<String>> {
    let reading = || format!("reading {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.path().is_file() && NAMES.iter().any(|start| name.starts_with(start)) {
            files.push(entry.path());
        }
    }
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

/// The licences in Rust's page of those of its standard library.
pub(crate) fn in_page(page: &str) -> Vec<String> {
    let blocks = page.split("<pre>").skip(1).filter_map(|rest| rest.split("</pre>").next());
    let plain = |block: &str| {
        let characters =
            [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
        let text =
            characters.iter().fold(block.to_owned(), |text, (from, to)| text.replace(from, to));
        even(&text)
    };
    blocks.map(plain).collect()
}

/// A licence.
pub(crate) fn read(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    Ok(even(&String::from_utf8_lossy(&bytes)))
}

/// SPDX expressions, each once in one.
pub(crate) fn together<'e>(expressions: impl IntoIterator<Item = &'e str>) -> String {
    let mut terms = BTreeSet::new();
    for expression in expressions {
        for term in conjuncts(expression) {
            let term =
                term.strip_prefix('(').and_then(|term| term.strip_suffix(')')).unwrap_or(term);
            let mut ways: Vec<&str> = term.split(" OR ").collect();
            ways.sort_unstable();
            terms.insert(match ways.as_slice() {
                [one] => (*one).to_owned(),
                several => format!("({})", several.join(" OR ")),
            });
        }
    }
    terms.into_iter().collect::<Vec<_>>().join(" AND ")
}

/// A text without empty lines around it and spaces at the ends of lines: in these alone many differ.
fn even(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// The parts of an SPDX expression that stand between its outermost `AND`s.
fn conjuncts(expression: &str) -> Vec<&str> {
    let (mut found, mut from, mut depth) = (Vec::new(), 0, 0);
    for (place, character) in expression.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && expression[place..].starts_with(" AND ") => {
                found.push(&expression[from..place]);
                from = place + " AND ".len();
            }
            _ => {}
        }
    }
    found.push(&expression[from..]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_together() {
        let parts =
            ["MIT OR Apache-2.0", "Apache-2.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"];
        assert_eq!(together(parts), "(Apache-2.0 OR MIT) AND Unicode-3.0");
        let parts = parts.into_iter().chain(["Zlib"]);
        assert_eq!(together(parts), "(Apache-2.0 OR MIT) AND Unicode-3.0 AND Zlib");
    }

    #[test]
    fn a_page_of_licences() {
        let page = "<h3>a</h3><pre>\n\n  A &#60;b&#62; \n</pre><p>c</p><pre>d\r\n\r\ne</pre>";
        assert_eq!(in_page(page), ["  A <b>", "d\n\ne"]);
    }
}
