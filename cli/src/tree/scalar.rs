//! Scalars: what plain ones resolve to, and where the characters of each stand.

use super::{Node, Value};
use crate::place::{Run, Text};

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// YAML without quotes.
    Plain,
    /// YAML in `'`.
    SingleQuoted,
    /// YAML or JSON in `"`.
    DoubleQuoted,
    /// YAML after `|` or `>`.
    Block,
}

/// What a plain scalar is, if it is not text. `yes`, `on`, `y` and their like are booleans, as they are
/// to the readers that configurations of Kubernetes (YAML 1.1) and of Envoy (yaml-cpp) go through.
pub(super) fn resolve(text: &str) -> Option<Value<'static>> {
    let is_any = |names: &[&str]| {
        let folded = text.to_ascii_lowercase();
        let first = text.chars().next().is_some_and(char::is_uppercase);
        let cased = text == folded || text == text.to_ascii_uppercase();
        let titled = first && text.get(1..) == folded.get(1..);
        (cased || titled) && names.contains(&folded.as_str())
    };
    if text.is_empty() || text == "~" || is_any(&["null"]) {
        return Some(Value::Null);
    }
    if is_any(&["true", "yes", "on", "y"]) {
        return Some(Value::Bool(true));
    }
    if is_any(&["false", "no", "off", "n"]) {
        return Some(Value::Bool(false));
    }
    number(text).map(Value::Number)
}

/// Whether a plain scalar is a float that JSON has not, at which the readers of Kubernetes stop.
pub(super) fn is_no_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&text)
}

/// A number as JSON writes it (RFC 8259 section 6).
fn number(text: &str) -> Option<String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let bare = digits.replace('_', "");
    let radix = |prefixes: [&str; 2], radix| {
        let rest = prefixes.iter().find_map(|prefix| bare.strip_prefix(prefix))?;
        u64::from_str_radix(rest, radix).ok().map(|number| format!("{sign}{number}"))
    };
    let other = radix(["0x", "0X"], 16).or_else(|| radix(["0o", "0O"], 8));
    if let Some(number) = other.or_else(|| radix(["0b", "0B"], 2)) {
        return Some(number);
    }
    let only_digits = bare.bytes().all(|byte| byte.is_ascii_digit());
    if only_digits && bare.len() > 1 && bare.starts_with('0') {
        // An octal number of YAML 1.1; with an 8 or a 9 in it, it is taken for a float.
        let octal = u64::from_str_radix(&bare, 8).ok().map(|number| number.to_string());
        let number = octal.unwrap_or_else(|| bare.trim_start_matches('0').to_owned());
        return Some(format!("{sign}{number}"));
    }
    if only_digits {
        return Some(format!("{sign}{bare}"));
    }
    let is_of_a_float = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    let float: f64 = bare.bytes().all(is_of_a_float).then(|| bare.parse().ok()).flatten()?;
    float.is_finite().then(|| format!("{sign}{float:?}"))
}

/// A key: text, and what would be something else as a value.
pub(super) fn key(node: Node<'_>) -> Option<String> {
    match node.value {
        Value::String(scalar) => Some(scalar.text),
        Value::Number(number) => Some(number),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null => Some("null".to_owned()),
        Value::List(_) | Value::Object(_) => None,
    }
}

/// Where the characters of a scalar stand: its text is held against its source, white space aside,
/// which both have differently. None where they do not agree, and so nothing can be told.
pub(super) fn runs(outer: &Text, start: usize, style: Style, text: &str) -> Vec<Run> {
    let source = outer.content().get(start..).unwrap_or_default();
    // A block may be said to begin where its content does, or with its header.
    let header = source.find(['\n', '\r']).filter(|_| style == Style::Block);
    let first = match style {
        Style::Plain | Style::Block => 0,
        Style::SingleQuoted | Style::DoubleQuoted => 1,
    };
    let mut runs = [Some(first), header]
        .into_iter()
        .flatten()
        .map(|at| aligned(outer, start, Written { source, style, at }, text));
    runs.find(|runs| !runs.is_empty()).unwrap_or_default()
}

fn aligned(outer: &Text, start: usize, mut written: Written<'_>, text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    // Of the character before: the offsets after it, in the text and in the source.
    let mut after = None;
    for (offset, character) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        let Some((place, length, _)) = written.next().filter(|(.., c)| *c == character) else {
            return Vec::new();
        };
        if after != Some((offset, place)) {
            runs.push(Run { offset, at: outer.position(start + place) });
        }
        let plain = length == character.len_utf8();
        after = plain.then(|| (offset + length, place + length));
    }
    runs
}

/// The characters that a scalar's source stands for, white space aside, each with its offset and its
/// length there, in bytes.
struct Written<'s> {
    source: &'s str,
    style: Style,
    at: usize,
}

impl Written<'_> {
    /// The character that an escape stands for, and its length (YAML 1.2.2 section 5.7).
    fn escape(&self, rest: &str) -> (char, usize) {
        let after = rest.chars().nth(1).unwrap_or('\\');
        let digits = match after {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        if digits > 0 {
            let code = |from: usize| u32::from_str_radix(rest.get(from..from + digits)?, 16).ok();
            let (first, second) = (code(2), code(2 + digits + 2));
            // Of JSON: two halves of a character (RFC 8259 section 7).
            if let (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) = (first, second) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(code).unwrap_or(' '), 2 * (2 + digits));
            }
            return (first.and_then(char::from_u32).unwrap_or(' '), 2 + digits);
        }
        let character = match after {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'e' => '\u{1b}',
            // All of them white space, as is a line that goes on.
            'n' | 'r' | 't' | 'v' | 'f' | 'N' | '_' | 'L' | 'P' | '\n' | '\r' => ' ',
            other => other,
        };
        (character, 1 + after.len_utf8())
    }
}

impl Iterator for Written<'_> {
    type Item = (usize, usize, char);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.source.get(self.at..)?;
            let first = rest.chars().next()?;
            let (character, length) = match (self.style, first) {
                (Style::DoubleQuoted, '\\') => self.escape(rest),
                (Style::SingleQuoted, '\'') if rest.starts_with("''") => ('\'', 2),
                _ => (first, first.len_utf8()),
            };
            let place = self.at;
            self.at += length;
            if !character.is_whitespace() {
                return Some((place, length, character));
            }
        }
    }
}
