//! The document of the `basic_auth` plug-in of wasm-extensions.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pintle_core::syntax::password_hash::{StoredPassword, parse_credential};
use pintle_core::syntax::path::{EncodedSlash, normalise_exact, normalise_prefix};
use sha1::{Digest, Sha1};

use super::native::{BasicAuth, Field, FieldValue, Filter, Native, Path, Rule, When};
use super::{text, texts};
use crate::tree::Node;

/// Its document, which the filter has taken.
pub(super) fn convert(root: &Node<'_>, differences: &mut Vec<String>) -> Native {
    let rules = root.get("basic_auth_rules").map(Node::elements).unwrap_or_default();
    let rules = rules.iter().enumerate().flat_map(|(place, rule)| {
        let mut notes = Vec::new();
        let converted = self::rules(rule, &mut notes);
        let named = notes.into_iter().map(|note| format!("/basic_auth_rules/{place}: {note}"));
        differences.extend(named);
        converted
    });
    let rules = rules.collect();
    let filter = BasicAuth { realm: text(root, "realm"), rules, mode: text(root, "mode") };
    Native { filters: vec![Filter::BasicAuth(filter)] }
}

/// One rule, or several with the same credentials: all that match must pass, so they are one.
fn rules(rule: &Node<'_>, notes: &mut Vec<String>) -> Vec<Rule> {
    let credentials: Vec<String> =
        texts(rule.get("credentials")).iter().map(|text| credential(text)).collect();
    let hosts = texts(rule.get("hosts"));
    let path = path(rule, notes);
    // There `get` is a condition that `GET` does not meet; here `methods` takes upper case alone.
    let is_lower = |method: &String| method.bytes().any(|byte| byte.is_ascii_lowercase());
    let (odd, methods): (Vec<_>, Vec<_>) =
        texts(rule.get("request_methods")).into_iter().partition(is_lower);
    if !odd.is_empty() {
        notes.push(
            "a method in lower case, which is not the one in upper case (RFC 9110 section 9.1): the rule \
             for it may never match, before as now"
                .to_owned(),
        );
    }
    let base = When { hosts, path, ..When::default() };
    let mut whens = Vec::new();
    if !methods.is_empty() {
        whens.push(When { methods, ..base.clone() });
    }
    whens.extend(odd.into_iter().map(|method| {
        let headers = vec![Field { name: ":method", value: FieldValue::Exact(method) }];
        When { headers, ..base.clone() }
    }));
    let rules = whens.into_iter().map(|when| Rule { when, credentials: credentials.clone() });
    rules.collect()
}

fn path(rule: &Node<'_>, notes: &mut Vec<String>) -> Option<Path> {
    let mut rooted = |text: &str| {
        let rooted = text.starts_with('/');
        if !rooted {
            notes.push(
                "a path that does not begin with a slash: the rule may never match, before as now"
                    .to_owned(),
            );
        }
        rooted
    };
    if let Some(text) = super::text(rule, "prefix") {
        if rooted(&text) {
            return Some(Path::Prefix(text));
        }
        let prefix = normalise_prefix(text.as_bytes(), EncodedSlash::Decode);
        return Some(Path::Regex(format!("^{}", escaped(&prefix.unwrap_or_default()))));
    }
    if let Some(text) = super::text(rule, "exact") {
        if text == "*" || rooted(&text) {
            return Some(Path::Exact(text));
        }
        let exact = normalise_exact(text.as_bytes(), EncodedSlash::Decode);
        return Some(Path::Regex(format!("^{}$", escaped(&exact.unwrap_or_default()))));
    }
    super::text(rule, "suffix").map(Path::Suffix)
}

/// Bytes as a regular expression that matches these and no others.
fn escaped(bytes: &[u8]) -> String {
    let mut pattern = String::new();
    for byte in bytes {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'/' | b'-' | b'_' => {
                pattern.push(char::from(*byte));
            }
            // Writing to a String cannot fail.
            _ => {
                let _ = write!(pattern, "\\x{byte:02x}");
            }
        }
    }
    pattern
}

/// A credential as this form takes it. There every password is what it says; here one that looks like
/// a hash is taken for one, or refused, so it stands as its own `{SHA}`.
fn credential(text: &str) -> String {
    let Ok(stored) = parse_credential(text, true) else { return text.to_owned() };
    let is_plain = |password| matches!(password, StoredPassword::Plain(_));
    let same = parse_credential(text, false).is_ok_and(|here| is_plain(here.password));
    match stored.password {
        StoredPassword::Plain(password) if !same => {
            let digest = STANDARD.encode(Sha1::digest(password.as_bytes()));
            format!("{}:{{SHA}}{digest}", stored.user)
        }
        _ => text.to_owned(),
    }
}
