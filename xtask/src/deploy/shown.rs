//! Whether what a document shows is what came.

use anyhow::{Result, ensure};

use super::curl::Printed;

/// Stands in a document for what may be anything: a part of a line, or by itself any number of lines.
const ANYTHING: &str = "...";

/// Of a reply with its head, the fields that are shown must be there, in any order; its content must be what is
/// shown, line by line.
pub(super) fn reply(shown: &[String], printed: &Printed) -> Result<()> {
    let Some((status, fields)) = &printed.head else {
        return content(shown, &printed.content);
    };
    let mut shown = shown.iter();
    let first = shown.next().map(String::as_str).unwrap_or_default();
    ensure!(alike(first, status), "{status}, not {first}");
    for field in shown.by_ref().take_while(|line| !line.is_empty()) {
        let there = field == ANYTHING || fields.iter().any(|line| alike(field, line));
        ensure!(there, "no field {field}, but\n{}", fields.join("\n"));
    }
    content(shown.as_slice(), &printed.content)
}

/// All lines in their order.
fn content(shown: &[String], came: &[String]) -> Result<()> {
    ensure!(same(shown, came), "\n{}\nnot\n{}", came.join("\n"), shown.join("\n"));
    Ok(())
}

/// Every line that is shown is somewhere in a text.
pub(super) fn among(shown: &[String], text: &str) -> Result<()> {
    for line in shown.iter().filter(|line| *line != ANYTHING) {
        let there = text.lines().any(|came| alike(line, came.trim_end()));
        ensure!(there, "no line {line} in\n{text}");
    }
    Ok(())
}

fn same(shown: &[String], came: &[String]) -> bool {
    match shown.split_first() {
        None => came.is_empty(),
        Some((first, rest)) if first == ANYTHING => {
            (0..=came.len()).any(|skipped| same(rest, came.get(skipped..).unwrap_or_default()))
        }
        Some((first, rest)) => {
            came.split_first().is_some_and(|(line, more)| alike(first, line) && same(rest, more))
        }
    }
}

/// Whether a line is as shown.
fn alike(shown: &str, line: &str) -> bool {
    let Some((first, rest)) = shown.split_once(ANYTHING) else { return shown == line };
    let Some(mut line) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split(ANYTHING).collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, behind)) = line.split_once(part) else { return false };
        line = behind;
    }
    line.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::{alike, among, reply};
    use crate::deploy::curl::Printed;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_with_gaps() {
        for (shown, line, same) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a...", "ab", true),
            ("...b", "ab", true),
            ("a...c...e", "abcde", true),
            ("a...c...e", "abde", false),
            ("a...a", "a", false),
            ("...", "", true),
        ] {
            assert_eq!(alike(shown, line), same, "{shown} {line}");
        }
    }

    #[test]
    fn replies() {
        let head = Some(("HTTP/1.1 200 OK".to_owned(), lines("a: 1\nb: 2")));
        let printed = Printed { head, content: lines("x\ny\nz") };
        for shown in ["HTTP/1.1 200 OK\nb: 2\na: ...\n\nx\ny\nz", "HTTP/1.1 200 OK\n...\n\n...\nz"]
        {
            assert!(reply(&lines(shown), &printed).is_ok(), "{shown}");
        }
        for shown in [
            "HTTP/1.1 200 OK\n\nx\ny",
            "HTTP/1.1 200 OK\nc: 3\n\nx\ny\nz",
            "HTTP/1.1 401 Unauthorized\n\nx\ny\nz",
            "x\ny\nz",
            "",
        ] {
            assert!(reply(&lines(shown), &printed).is_err(), "{shown}");
        }
        assert!(among(&lines("y\n..."), "x\ny\nz").is_ok());
        assert!(among(&lines("y\nw"), "x\ny\nz").is_err());
    }
}
