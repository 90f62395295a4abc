//! The tree as text again.

use std::fmt::Write;

use super::{Node, Value};

impl Node<'_> {
    /// As JSON in one line. Keys that repeat do so here, too.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        json(self, None, &mut out);
        out
    }

    /// As JSON in lines.
    pub(crate) fn to_pretty_json(&self) -> String {
        let mut out = String::new();
        json(self, Some(0), &mut out);
        out
    }

    /// As YAML in block style, all text in double quotes: what has none may be something else to
    /// another reader.
    pub(crate) fn to_yaml(&self) -> String {
        let mut out = String::new();
        yaml(self, 0, &mut out);
        out
    }
}

/// `indent`: how deep it stands, in lines of its own.
fn json(node: &Node<'_>, indent: Option<usize>, out: &mut String) {
    let inner = indent.map(|indent| indent + 1);
    match &node.value {
        Value::List(elements) if !elements.is_empty() => {
            out.push('[');
            for (place, element) in elements.iter().enumerate() {
                separate(place, inner, out);
                json(element, inner, out);
            }
            line(indent, out);
            out.push(']');
        }
        Value::Object(members) if !members.is_empty() => {
            out.push('{');
            for (place, member) in members.iter().enumerate() {
                separate(place, inner, out);
                quoted(&member.key, out);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                json(&member.value, inner, out);
            }
            line(indent, out);
            out.push('}');
        }
        value => leaf(value, out),
    }
}

fn separate(place: usize, indent: Option<usize>, out: &mut String) {
    if place > 0 {
        out.push(',');
    }
    line(indent, out);
}

fn line(indent: Option<usize>, out: &mut String) {
    if let Some(indent) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", indent));
    }
}

/// Lines that begin at this depth; the first one has begun already.
fn yaml(node: &Node<'_>, depth: usize, out: &mut String) {
    let begin = |place: usize, out: &mut String| {
        if place > 0 {
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    match &node.value {
        Value::List(elements) if !elements.is_empty() => {
            for (place, element) in elements.iter().enumerate() {
                begin(place, out);
                out.push_str("- ");
                yaml(element, depth + 1, out);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (place, member) in members.iter().enumerate() {
                begin(place, out);
                yaml_key(&member.key, out);
                out.push(':');
                match &member.value.value {
                    Value::List(inner) if !inner.is_empty() => below(&member.value, depth, out),
                    Value::Object(inner) if !inner.is_empty() => below(&member.value, depth, out),
                    value => {
                        out.push(' ');
                        leaf(value, out);
                        out.push('\n');
                    }
                }
            }
        }
        value => {
            leaf(value, out);
            out.push('\n');
        }
    }
}

fn below(node: &Node<'_>, depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth + 1));
    yaml(node, depth + 1, out);
}

fn yaml_key(key: &str, out: &mut String) {
    let first = key.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = first && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && super::scalar::resolve(key).is_none() {
        out.push_str(key);
    } else {
        quoted(key, out);
    }
}

fn leaf(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => out.push_str(number),
        Value::String(scalar) => quoted(&scalar.text, out),
        Value::List(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A JSON string (RFC 8259 section 7), which is one of YAML as well: what YAML does not print is
/// escaped (YAML 1.2.2 section 5.1).
fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
