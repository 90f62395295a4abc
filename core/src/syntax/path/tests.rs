use alloc::string::String;

use super::EncodedSlash::{Decode, Keep, Reject};
use super::*;

/// The forms of `path`, with spaces between.
fn forms(path: &str, slash: EncodedSlash) -> Result<String, PathError> {
    let mut forms = Forms::default();
    forms.compute(path.as_bytes(), slash)?;
    let shown: Vec<String> =
        forms.iter().map(|form| String::from_utf8_lossy(form).into_owned()).collect();
    Ok(shown.join(" "))
}

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
        assert_eq!(forms(path, Decode).as_deref(), Ok(path));
    }
    for path in [
        "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/%61", "/a\\b",
        "/a\0", ".", "..", "../a",
    ] {
        assert!(!is_ordinary(path.as_bytes()), "{path}");
    }
}

#[test]
fn makes_the_forms() {
    for (path, expected) in [
        ("/x/../admin", "/x/../admin /admin"),
        ("/%61dmin", "/%61dmin /admin"),
        ("//admin", "//admin /admin"),
        ("/public/../admin?x=/../y", "/public/../admin /admin"),
        ("/a//../b", "/a//../b /a/../b /a/b /b"),
        ("/a//..//b", "/a//..//b /a/../b /a//b /a/b /b"),
        ("/a/..//b", "/a/..//b /a/../b //b /b"),
        ("/a/..", "/a/.. /"),
        ("/a/.", "/a/. /a/"),
        ("/a/./b", "/a/./b /a/b"),
        ("/a/b/../..", "/a/b/../.. /"),
        ("/a/b/../", "/a/b/../ /a/"),
        ("/..", "/.. /"),
        ("/../../a", "/../../a /a"),
        ("/a/../../../b", "/a/../../../b /b"),
        ("/%2e%2E/a", "/%2e%2E/a /../a /a"),
        ("/a%2f..%2Fb", "/a%2f..%2Fb /a/../b /b"),
        ("/a%5c..%5Cb", "/a%5c..%5Cb /a/../b /b"),
        ("/a\\..\\b", "/a\\..\\b /a/../b /b"),
        ("/\\b", "/\\b /b //b"),
        ("/a\\b", "/a\\b /a/b"),
        ("/a\\%62", "/a\\%62 /a/%62 /a/b"),
        ("/a\\..\\%62", "/a\\..\\%62 /a/../%62 /%62 /a/../b /b"),
        ("\\a", "\\a /a"),
        ("/%40me", "/%40me /@me"),
        ("/a%3Fb%23c", "/a%3Fb%23c /a?b#c"),
        ("/a%20b", "/a%20b /a b"),
        ("/%C3%a9", "/%C3%a9 /\u{e9}"),
        ("/%252e%252e/a", "/%252e%252e/a"), // decoded once
        ("/%25%32%65", "/%25%32%65 /%252e"),
        ("/%25zz", "/%25zz"),
        ("/%0a%1F%7f", "/%0a%1F%7f /%0A%1F%7F"),
        ("/%0A", "/%0A"),
        ("..", ".. /"),
        ("../a", "../a /a"),
        ("./a", "./a /a"),
        ("a/../b", "a/../b /b"),
        // Decoded only, dot segments removed only, merged only.
        ("/%61/../x", "/%61/../x /x /a/../x"),
        ("/b/../a/%2e%2e/x", "/b/../a/%2e%2e/x /a/%2e%2e/x /b/../a/../x /x"),
        ("//a/%2e%2e/x", "//a/%2e%2e/x /a/%2e%2e/x //a/../x /a/../x //x /x"),
        // Escaped dots and slashes are neither where nothing is decoded.
        ("/b/%2e./a", "/b/%2e./a /b/../a /a"),
        ("/b/..%2fa", "/b/..%2fa /b/../a /a"),
        (
            "//x//../%61",
            "//x//../%61 /x/../%61 //x/%61 /x/%61 /%61 //x//../a /x/../a //x/a /x/a /a",
        ),
    ] {
        assert_eq!(forms(path, Decode).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn takes_encoded_slashes_as_told() {
    assert_eq!(
        forms("/a%2f..%5cb\\c", Keep).as_deref(),
        Ok("/a%2f..%5cb\\c /a%2f..%5cb/c /a%2F..%5Cb/c")
    );
    assert_eq!(forms("/a%2F%2Fb", Keep).as_deref(), Ok("/a%2F%2Fb"));
    for path in ["/a%2Fb", "/a%2fb", "/a%5Cb", "/a%5cb"] {
        assert_eq!(forms(path, Reject), Err(PathError::EncodedSlash), "{path}");
    }
    assert_eq!(forms("/a\\b", Reject).as_deref(), Ok("/a\\b /a/b"));
    assert_eq!(forms("/a%252Fb", Reject).as_deref(), Ok("/a%252Fb"));
}

#[test]
fn refuses_broken_escapes_and_nul_and_still_shows_the_raw_form() {
    let mut forms = Forms::default();
    for (path, error) in [
        ("/a%", PathError::InvalidEscape),
        ("/a%6", PathError::InvalidEscape),
        ("/a%6?1", PathError::InvalidEscape),
        ("/a%zz", PathError::InvalidEscape),
        ("/a%%61", PathError::InvalidEscape),
        ("/a%+1", PathError::InvalidEscape),
        ("/a%6\u{e9}", PathError::InvalidEscape),
        ("/a%00b", PathError::EncodedNul),
        ("/a\0b", PathError::EncodedNul),
    ] {
        forms.compute(b"/x/../y//../z", Decode).unwrap();
        assert_eq!(forms.iter().count(), 4);
        assert_eq!(forms.compute(path.as_bytes(), Decode), Err(error), "{path:?}");
        assert!(forms.iter().eq([without_query(path.as_bytes())]), "{path:?}");
        assert_eq!(forms.raw(), without_query(path.as_bytes()));
    }
    assert_eq!(forms.compute(b"/a?%00%zz", Decode), Ok(()), "the query is not judged");
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
fn remove_dots_by_the_book(path: &str) -> String {
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

fn merge(path: &str) -> String {
    let mut path = String::from(path);
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    path
}

/// Every path of up to `longest` of these pieces, after a slash.
fn each_path(pieces: &[&str], longest: u32, mut judge: impl FnMut(&str)) {
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
fn agrees_with_the_book_on_every_short_path() {
    let mut all = Forms::default();
    let mut counts = [0; 10];
    each_path(&["/", ".", "..", "a", "%2e", "%2F", "\\", "%61"], 6, |path| {
        let slashed = path.replace('\\', "/");
        let decoded = slashed.replace("%2e", ".").replace("%2F", "/").replace("%61", "a");
        let mut expected = Vec::from([String::from(path)]);
        let mut expect = |form: String| {
            if !expected.contains(&form) {
                expected.push(form);
            }
        };
        for (text, is_a_form) in [(&slashed, false), (&decoded, true)] {
            if is_a_form {
                expect(text.clone());
            }
            expect(merge(text));
            expect(remove_dots_by_the_book(text));
            expect(merge(&remove_dots_by_the_book(text)));
            expect(remove_dots_by_the_book(&merge(text)));
        }
        all.compute(path.as_bytes(), Decode).unwrap();
        assert!(all.iter().eq(expected.iter().map(|form| form.as_bytes())), "{path}");
        assert_eq!(is_ordinary(path.as_bytes()), expected.len() == 1, "{path}");
        counts[expected.len()] += 1;

        let exact = normalise_exact(path.as_bytes(), Decode).unwrap();
        assert_eq!(exact, remove_dots_by_the_book(&merge(&decoded)).as_bytes(), "{path}");
        assert!(is_ordinary(&exact), "{path}");
    });
    // Ten forms take a longer path than these.
    assert!(counts[1..].iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn normal_forms_are_normal_whatever_comes() {
    let mut all = Forms::default();
    let (mut good, mut bad) = (0, 0);
    each_path(
        &["/", "..", "%", "2", "5", "f", "%5c", "%00", "%25", "\0", "?", "\u{e9}"],
        5,
        |path| {
            for slash in [Decode, Keep, Reject] {
                let done = all.compute(path.as_bytes(), slash);
                let raw = without_query(path.as_bytes());
                assert_eq!(all.raw(), raw);
                let count = all.iter().count();
                assert!((1..=10).contains(&count));
                assert!(all.iter().all(|form| form.len() <= raw.len()), "{path:?}");
                if done.is_err() {
                    bad += 1;
                    assert_eq!(count, 1, "{path:?}");
                    assert!(!is_ordinary(raw), "{path:?}");
                    continue;
                }
                good += 1;
                for form in all.iter().skip(1) {
                    assert_eq!(form.first(), Some(&b'/'), "{path:?}");
                    assert!(!form.contains(&b'\\') && !form.contains(&0), "{path:?}");
                }
                let exact = normalise_exact(raw, slash).unwrap();
                assert!(all.iter().any(|form| form == exact), "{path:?}");
                assert!(!exact.windows(2).any(|pair| pair == b"//"), "{path:?}");
                assert!(!exact.split(is_slash).any(is_dots), "{path:?}");
                // Only reserved escapes are left, so that a second pass finds nothing to do.
                let mut again = Vec::new();
                assert_eq!(decode(&exact, slash, &mut again), Ok(()), "{path:?}");
                assert_eq!(again, exact, "{path:?}");
            }
        },
    );
    assert!(good > 10_000 && bad > 10_000, "{good} {bad}");
}

#[test]
fn a_path_matches_the_pattern_it_was_configured_as() {
    each_path(&["/", "..", ".", "a", "%2e", "%5C", "%40"], 5, |path| {
        for slash in [Decode, Keep] {
            let mut all = Forms::default();
            all.compute(path.as_bytes(), slash).unwrap();
            let exact = normalise_exact(path.as_bytes(), slash).unwrap();
            assert!(all.iter().any(|form| form == exact), "{path}");
        }
    });
}

#[test]
fn keeps_its_buffers() {
    let mut all = Forms::default();
    let long = [b"//x//../%61".as_slice(); 40].concat();
    all.compute(&long, Decode).unwrap();
    assert_eq!(all.iter().count(), 10, "every buffer is in use");
    let places = |all: &Forms| {
        let own = [&all.raw, &all.slashed, &all.decoded, &all.merged];
        own.into_iter().chain(&all.others).map(|buffer| buffer.as_ptr()).collect::<Vec<_>>()
    };
    let before = places(&all);
    for path in [&b"/a"[..], b"/%zz", b"//", &long, b""] {
        all.compute(path, Decode).ok();
        assert_eq!(places(&all), before);
    }
}
