use alloc::string::String;

use super::EncodedSlash::{Decode, Reject};
use super::*;

#[test]
fn cuts_the_query() {
    for (path, cut) in
        [("/a?b", "/a"), ("/a#b?c", "/a"), ("/a?b#c?d", "/a"), ("?", ""), ("/a", "/a"), ("", "")]
    {
        assert_eq!(without_query(path.as_bytes()), cut.as_bytes(), "{path}");
    }
}

#[test]
fn knows_an_ordinary_path() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/.well-known/x",
        "/...",
        "/..a",
        "/a./b..",
        "*",
        "",
        "/a;x=1",
        "/\u{e9}",
        ".a",
    ] {
        assert!(is_ordinary(path.as_bytes()), "{path}");
    }
    for path in [
        "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/%61", "/a\\b",
        "/a\0", ".", "..", "../a",
    ] {
        assert!(!is_ordinary(path.as_bytes()), "{path}");
    }
}

#[test]
fn normalises_configured_paths() {
    for (path, exact, prefix, suffix) in [
        ("/a", "/a", "/a", "/a"),
        ("/a/../b", "/b", "/b", "/a/../b"),
        ("//a//b/", "/a/b/", "/a/b/", "/a/b/"),
        ("/%61%40", "/a@", "/a@", "/a@"),
        ("/a%2fb", "/a/b", "/a/b", "/a/b"),
        ("/.", "/", "/.", "/."),
        ("/a/..", "/", "/a/..", "/a/.."),
        ("/a/../", "/", "/", "/a/../"),
        ("/a//../b", "/b", "/b", "/a/../b"),
        ("/a/./.b", "/a/.b", "/a/.b", "/a/./.b"),
        (".php", ".php", ".php", ".php"),
        ("/a%3f", "/a?", "/a?", "/a?"),
        ("", "", "", ""),
    ] {
        assert_eq!(
            normalise_exact(path.as_bytes(), Decode).as_deref(),
            Ok(exact.as_bytes()),
            "{path}"
        );
        assert_eq!(
            normalise_prefix(path.as_bytes(), Decode).as_deref(),
            Ok(prefix.as_bytes()),
            "{path}"
        );
        assert_eq!(
            normalise_suffix(path.as_bytes(), Decode).as_deref(),
            Ok(suffix.as_bytes()),
            "{path}"
        );
    }
    for normalise in [normalise_exact, normalise_prefix, normalise_suffix] {
        for (path, error) in [
            ("/a?b", PathError::Query),
            ("/a#", PathError::Query),
            ("/%", PathError::InvalidEscape),
            ("/%00", PathError::EncodedNul),
            ("/%2f", PathError::EncodedSlash),
        ] {
            assert_eq!(normalise(path.as_bytes(), Reject), Err(error), "{path}");
        }
    }
}

/// RFC 3986 section 5.2.4, step by step as it is written, for paths that begin with a slash.
pub(super) fn remove_dots_by_the_book(path: &str) -> String {
    let (mut input, mut output) = (String::from(path), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") {
            input.replace_range(..3, "/");
        } else if input == "/." {
            input = "/".into();
        } else if input.starts_with("/../") || input == "/.." {
            input.replace_range(..input.len().min(4), "/");
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}

pub(super) fn merge(path: &str) -> String {
    let mut path = String::from(path);
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}

/// Every path of up to `longest` of these pieces, after a slash.
pub(super) fn each_path(pieces: &[&str], longest: u32, mut judge: impl FnMut(&str)) {
    for length in 0..=longest {
        for mut number in 0..pieces.len().pow(length) {
            let mut path = String::from("/");
            for _ in 0..length {
                path.push_str(pieces[number % pieces.len()]);
                number /= pieces.len();
            }
            judge(&path);
        }
    }
}

#[test]
fn configured_paths_are_normal() {
    each_path(&["/", ".", "..", "a", "%2e", "%2F", "\\", "%61"], 5, |path| {
        let decoded = path.replace('\\', "/").replace("%2e", ".").replace("%2F", "/");
        let decoded = decoded.replace("%61", "a");
        let exact = normalise_exact(path.as_bytes(), Decode).unwrap();
        assert_eq!(exact, remove_dots_by_the_book(&merge(&decoded)).as_bytes(), "{path}");
        assert!(is_ordinary(&exact), "{path}");
    });
}
