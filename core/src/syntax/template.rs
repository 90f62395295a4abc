//! Templates of field values: text, `%REQ(name)%`, `%RESP(name)%`, and `%%` for a percent sign.
//!
//! A part of the command operators that Envoy has in its access logs and header values. The
//! fallbacks (`?`) and lengths (`:N`) of those are not understood, and refused.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::{fmt, mem};

use super::field;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These bytes. Never empty, never next to another literal.
    Literal(Box<[u8]>),
    /// The value of this field of the request; in lower case.
    RequestField(String),
    /// The value of this field of the response; in lower case.
    ResponseField(String),
}

/// Reads a template. That of an empty text has no parts.
///
/// All that the literals contribute is fit for a field value (RFC 9110 section 5.5), white space at
/// either end included. What the fields contribute is known at the request only: the result needs a
/// look with [`field::is_value`] before it is written.
///
/// ```
/// use pintle_core::syntax::template::{Part, parse};
///
/// let parts = parse("100%% for %REQ(X-User)%")?;
/// assert_eq!(parts, [Part::Literal(b"100% for ".as_slice().into()), Part::RequestField("x-user".into())]);
/// # Ok::<(), pintle_core::syntax::template::TemplateError>(())
/// ```
pub fn parse(text: &str) -> Result<Vec<Part>, TemplateError> {
    if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        return Err(TemplateError::InvalidLiteral);
    }
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        literal.extend(before.bytes());
        if let Some(after) = after.strip_prefix('%') {
            literal.push(b'%');
            rest = after;
        } else {
            let (part, after) = command(after)?;
            push_literal(&mut parts, mem::take(&mut literal))?;
            parts.push(part);
            rest = after;
        }
    }
    literal.extend(rest.bytes());
    push_literal(&mut parts, literal)?;
    Ok(parts)
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// A `%` that begins neither `%REQ(`, `%RESP(` nor `%%`.
    UnknownCommand,
    /// A command without its `)%`.
    Unclosed,
    /// No field can have the name in the parentheses (RFC 9110 section 5.1), or it is a
    /// pseudo-header (RFC 9113 section 8.3) that this message does not have.
    InvalidName,
    /// Literal text that no field value can have (RFC 9110 section 5.5), or white space at an end.
    InvalidLiteral,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownCommand => "a % begins %REQ(name)%, %RESP(name)% or %%",
            Self::Unclosed => "%REQ( and %RESP( are closed by )%",
            Self::InvalidName => "between the parentheses is one field name",
            Self::InvalidLiteral => {
                "a field value has no control characters and no white space at its ends"
            }
        })
    }
}

impl core::error::Error for TemplateError {}

/// The command at the start of `text`, whose `%` is already off, and what follows it.
fn command(text: &str) -> Result<(Part, &str), TemplateError> {
    if let Some(inside) = text.strip_prefix("REQ(") {
        let (name, rest) = name(inside, &[":path", ":method", ":authority", ":scheme"])?;
        Ok((Part::RequestField(name), rest))
    } else if let Some(inside) = text.strip_prefix("RESP(") {
        let (name, rest) = name(inside, &[":status"])?;
        Ok((Part::ResponseField(name), rest))
    } else if text.is_empty() {
        Err(TemplateError::Unclosed)
    } else {
        Err(TemplateError::UnknownCommand)
    }
}

/// The name before the closing `)%`, in lower case, and what follows that.
fn name<'t>(text: &'t str, pseudo_headers: &[&str]) -> Result<(String, &'t str), TemplateError> {
    let (name, rest) = text.split_once(")%").ok_or(TemplateError::Unclosed)?;
    let name = name.to_ascii_lowercase();
    if field::is_token(name.as_bytes()) || pseudo_headers.contains(&name.as_str()) {
        Ok((name, rest))
    } else {
        Err(TemplateError::InvalidName)
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: Vec<u8>) -> Result<(), TemplateError> {
    if !literal.iter().all(|&byte| field::is_value_byte(byte)) {
        return Err(TemplateError::InvalidLiteral);
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn literal(text: &str) -> Part {
        Part::Literal(text.as_bytes().into())
    }

    #[test]
    fn reads_its_parts() {
        let request = |name: &str| Part::RequestField(name.into());
        let response = |name: &str| Part::ResponseField(name.into());
        for (text, parts) in [
            ("", vec![]),
            ("world", vec![literal("world")]),
            ("a\tb c", vec![literal("a\tb c")]),
            ("caf\u{e9}", vec![literal("caf\u{e9}")]),
            ("%%", vec![literal("%")]),
            ("%%%%", vec![literal("%%")]),
            ("%%REQ(a)%%", vec![literal("%REQ(a)%")]),
            ("%%%REQ(a)%%%", vec![literal("%"), request("a"), literal("%")]),
            ("%REQ(X-Id)%", vec![request("x-id")]),
            ("%REQ(:Path)%%RESP(:status)%", vec![request(":path"), response(":status")]),
            ("a %RESP(Via)% b", vec![literal("a "), response("via"), literal(" b")]),
            (
                "%REQ(:method)%%REQ(:authority)%%REQ(:scheme)%",
                vec![request(":method"), request(":authority"), request(":scheme")],
            ),
        ] {
            assert_eq!(parse(text), Ok(parts), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        use TemplateError::{InvalidLiteral, InvalidName, Unclosed, UnknownCommand};
        for (text, error) in [
            ("100%", Unclosed),
            ("%REQ(a", Unclosed),
            ("%REQ(a)", Unclosed),
            ("%REQ(a):5%", Unclosed),
            ("100% sure", UnknownCommand),
            ("%REQ", UnknownCommand),
            ("%req(a)%", UnknownCommand),
            ("%REQ_WITHOUT_QUERY(a)%", UnknownCommand),
            ("%PROTOCOL%", UnknownCommand),
            ("%%%", Unclosed),
            ("%REQ()%", InvalidName),
            ("%REQ(a b)%", InvalidName),
            ("%REQ(a?b)%", InvalidName),
            ("%REQ(a)b)%", InvalidName),
            ("%REQ(:status)%", InvalidName),
            ("%REQ(:protocol)%", InvalidName),
            ("%RESP(:path)%", InvalidName),
            ("%RESP(a\r\n)%", InvalidName),
            ("a\r\nb", InvalidLiteral),
            ("a\0", InvalidLiteral),
            ("\u{7f}", InvalidLiteral),
            (" a", InvalidLiteral),
            ("a\t", InvalidLiteral),
            ("%REQ(a)% ", InvalidLiteral),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_it_reads_writes_back() {
        let pieces = ["%", "REQ(", "RESP(", ")%", "a", " ", ":status", "\n", "%%"];
        let mut read = 0;
        for mut number in 0..pieces.len().pow(6) {
            let mut text = String::new();
            for _ in 0..6 {
                text.push_str(pieces[number % pieces.len()]);
                number /= pieces.len();
            }
            let Ok(parts) = parse(&text) else { continue };
            read += 1;
            let mut written = String::new();
            let mut after_literal = false;
            for part in &parts {
                let is_literal = matches!(part, Part::Literal(_));
                assert!(!(is_literal && after_literal), "{text:?}");
                after_literal = is_literal;
                match part {
                    Part::Literal(bytes) => {
                        assert!(!bytes.is_empty());
                        written += &core::str::from_utf8(bytes).unwrap().replace('%', "%%");
                    }
                    Part::RequestField(name) => written += &alloc::format!("%REQ({name})%"),
                    Part::ResponseField(name) => written += &alloc::format!("%RESP({name})%"),
                }
            }
            assert_eq!(written, text);
        }
        assert!(read > 500, "{read}");
    }
}
