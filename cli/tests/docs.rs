//! What docs/cli.md shows is what the command does.

mod command;

use std::path::Path;

use command::{Seen, pintle};

const DOCS: &str = include_str!("../../docs/cli.md");

/// The language of each block of code, what it says, and the line before it.
fn blocks() -> Vec<(String, String, String)> {
    let mut blocks = Vec::new();
    let mut lines = DOCS.lines();
    let mut before = String::new();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language.to_owned(), text.join("\n") + "\n", before.clone()));
        }
        if !line.is_empty() {
            before = line.to_owned();
        }
    }
    blocks
}

#[test]
fn sessions() {
    let mut shown = 0;
    for (language, text, _) in blocks() {
        if language != "console" {
            continue;
        }
        let mut code = 0;
        for session in text.split("$ ").skip(1) {
            let (line, expected) = session.split_once('\n').expect("a line");
            if line == "echo $?" {
                assert_eq!(expected, format!("{code}\n"), "{text}");
                continue;
            }
            let arguments: Vec<&str> = line.split(' ').skip(1).collect();
            let Seen { code: seen, stdout, stderr } = pintle(&arguments);
            assert_eq!([stdout, stderr].concat(), expected, "{line}");
            (code, shown) = (seen, shown + 1);
        }
    }
    assert!(shown >= 5, "{shown}");
}

#[test]
fn files() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut shown = 0;
    for (_, text, before) in blocks() {
        let name = before.strip_prefix('`').and_then(|name| name.strip_suffix("`:"));
        if let Some(name) = name {
            assert_eq!(text, std::fs::read_to_string(fixtures.join(name)).unwrap(), "{name}");
            shown += 1;
        }
    }
    assert_eq!(shown, 1);
}
