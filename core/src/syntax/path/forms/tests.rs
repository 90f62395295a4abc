use alloc::collections::BTreeSet;
use alloc::string::String;

use super::super::normalise_exact;
use super::super::tests::{each_path, merge, remove_dots_by_the_book};
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
        ("/a%2f..%2Fb", "/a%2f..%2Fb /a/../b /b /a%2F..%2Fb"),
        ("/a%5c..%5Cb", "/a%5c..%5Cb /a/../b /b /a%5C..%5Cb"),
        ("/a\\..\\b", "/a\\..\\b /a/../b /b"),
        ("/\\b", "/\\b //b /b"),
        ("/a\\b", "/a\\b /a/b"),
        ("/a\\%62", "/a\\%62 /a/%62 /a/b /a\\b"),
        ("/a\\..\\%62", "/a\\..\\%62 /a/../%62 /a/../b /%62 /b /a\\..\\b"),
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
        ("/%61/../x", "/%61/../x /a/../x /x"),
        ("/b/../a/%2e%2e/x", "/b/../a/%2e%2e/x /b/../a/../x /a/%2e%2e/x /a/../x /x"),
        ("//a/%2e%2e/x", "//a/%2e%2e/x //a/../x /a/%2e%2e/x /a/../x //x /x"),
        // Escaped dots and slashes are neither where nothing is decoded.
        ("/b/%2e./a", "/b/%2e./a /b/../a /a"),
        ("/b/..%2fa", "/b/..%2fa /b/../a /a /b/..%2Fa"),
        (
            "//x//../%61",
            "//x//../%61 //x//../a /x/../%61 /x/../a //x/%61 //x/a /x/%61 /x/a /%61 /a",
        ),
    ] {
        assert_eq!(forms(path, Decode).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn takes_encoded_slashes_as_told() {
    assert_eq!(
        forms("/a%2f..%5cb\\c", Keep).as_deref(),
        Ok("/a%2f..%5cb\\c /a%2f..%5cb/c /a%2F..%5Cb/c /a%2F..%5Cb\\c")
    );
    assert_eq!(forms("/a%2F%2Fb", Keep).as_deref(), Ok("/a%2F%2Fb"));
    for path in ["/a%2Fb", "/a%2fb", "/a%5Cb", "/a%5cb"] {
        assert_eq!(forms(path, Reject), Err(PathError::EncodedSlash), "{path}");
    }
    assert_eq!(forms("/x\\y/../a", Keep).as_deref(), Ok("/x\\y/../a /x/y/../a /x/a /a"));
    assert_eq!(forms("/x\\y/../a", Reject).as_deref(), Ok("/x\\y/../a /x/y/../a /x/a /a"));
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

/// Every choice that [`Forms::compute`] names, one after the other.
fn expected(path: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([String::from(path)]);
    let both = [true, false];
    for (raw, encoded, slash) in
        both.map(|a| both.map(|b| both.map(|c| (a, b, c)))).as_flattened().as_flattened()
    {
        let turn = |text: &str, from, turns: &bool| {
            if *turns { text.replace(from, "/") } else { String::from(text) }
        };
        let decode = |text: &str| {
            let text = turn(&turn(&turn(text, "\\", raw), "%5C", encoded), "%2F", slash);
            text.replace("%2e", ".").replace("%61", "a")
        };
        for text in [turn(path, "\\", raw), decode(path)] {
            let (merged, without) = (merge(&text), remove_dots_by_the_book(&text));
            let both = [merge(&without), remove_dots_by_the_book(&merged)];
            for text in [text, merged, without].into_iter().chain(both) {
                forms.insert(decode(&text));
                let all = decode(&text).replace("%2F", "/").replace("%5C", "/");
                forms.insert(all.replace('\\', "/"));
                forms.insert(text);
            }
        }
    }
    forms
}

#[test]
fn agrees_with_the_book_on_every_short_path() {
    let mut all = Forms::default();
    let (mut one, mut most) = (0, 0);
    each_path(&["/", "..", "/../", "a", "%2e%2e", "%2F", "%5C", "\\", "%61"], 4, |path| {
        all.compute(path.as_bytes(), Decode).unwrap();
        let forms: Vec<_> = all.iter().map(|form| String::from_utf8_lossy(form)).collect();
        let expected = expected(path);
        assert_eq!(forms.len(), expected.len(), "{path}: {forms:?} {expected:?}");
        assert!(forms.iter().all(|form| expected.contains(&**form)), "{path}: {forms:?}");
        assert_eq!(is_ordinary(path.as_bytes()), forms.len() == 1, "{path}");
        one += usize::from(forms.len() == 1);
        most = forms.len().max(most);
    });
    assert!(one > 50 && most > 20, "{one} {most}");
}

#[test]
fn has_what_each_kind_of_upstream_makes_of_it() {
    for (path, upstream, served) in [
        ("/x/../%70rivate/%2e%2e/y", "a front without dots, an application", "/private/../y"),
        ("/x%2Fy/../%70rivate", "a front without dots, an application", "/private"),
        ("/x\\y/../private", "nginx, Go", "/private"),
        ("/x%5Cy/%2e%2e/private", "nginx, Go", "/private"),
        ("/x\\y%2F%2e%2e/private", "nginx, Go", "/private"),
        ("/x%5Cy%2F../private", "nginx, Go", "/private"),
        ("/public/x\\y/../../private", "nginx, Go", "/private"),
        ("/x%2Fy/%2e%2e/private", "a URL parser", "/private"),
        ("/x%2Fy\\%2e%2e\\private", "a URL parser", "/private"),
        ("/x%5Cy\\../private", "a URL parser", "/private"),
        ("/x%2Fy/%2e%2e/private%2Fz", "a URL parser, what decodes its result", "/private/z"),
        ("/x%5Cy%2F..\\private", "a URL parser, nginx", "/private"),
        ("/x%2Fy%5C../private%2Fz", "what decodes first, on Windows", "/x/private/z"),
    ] {
        let mut all = Forms::default();
        all.compute(path.as_bytes(), Decode).unwrap();
        assert!(all.iter().any(|form| form == served.as_bytes()), "{path} of {upstream}");
    }
}

#[test]
fn normal_forms_are_normal_whatever_comes() {
    let mut all = Forms::default();
    let (mut good, mut bad) = (0, 0);
    each_path(
        &["/", "..", "%", "2", "5", "f", "%5c", "%00", "%25", "\0", "?", "\\", "\u{e9}"],
        4,
        |path| {
            for slash in [Decode, Keep, Reject] {
                let done = all.compute(path.as_bytes(), slash);
                let raw = without_query(path.as_bytes());
                assert_eq!(all.raw(), raw);
                let forms: Vec<_> = all.iter().collect();
                assert!(forms.iter().all(|form| form.len() <= raw.len()), "{path:?}");
                if done.is_err() {
                    bad += 1;
                    assert_eq!(forms.len(), 1, "{path:?}");
                    assert!(!is_ordinary(raw), "{path:?}");
                    continue;
                }
                good += 1;
                for (i, form) in forms.iter().enumerate() {
                    assert!(form.iter().all(|byte| *byte != 0), "{path:?}");
                    assert!(matches!(form.first(), Some(b'/' | b'\\')), "{path:?}");
                    assert!(!forms.iter().take(i).any(|other| other == form), "{path:?}");
                }
                let exact = normalise_exact(raw, slash).unwrap();
                assert!(forms.contains(&&*exact), "{path:?}");
                assert!(!has_dots_or_empty(&exact), "{path:?}");
                // Only reserved escapes are left, so that a second pass finds nothing to do.
                let slashes = LookAlikes::of(&exact, slash).unwrap();
                let mut again = Vec::new();
                assert_eq!(decode(&exact, slashes, &mut again), Ok(()), "{path:?}");
                assert_eq!(again, exact, "{path:?}");
            }
        },
    );
    assert!(good > 5_000 && bad > 5_000, "{good} {bad}");
}

#[test]
fn a_path_matches_the_pattern_it_was_configured_as() {
    each_path(&["/", "..", ".", "a", "%2e", "%5C", "\\", "%40"], 4, |path| {
        for slash in [Decode, Keep] {
            let mut all = Forms::default();
            all.compute(path.as_bytes(), slash).unwrap();
            let exact = normalise_exact(path.as_bytes(), slash).unwrap();
            assert!(all.iter().any(|form| form == exact), "{path}");
        }
    });
}

/// A path for which all that upstreams do differs.
const PERVERSE: &[u8] =
    b"//a//../%61\\b\\..\\/c%5Cd%5C..%5C/e%2Ff%2F..%2F%2F/g/h/%2e%2e/../%2e%2e//..//i";

#[test]
fn keeps_its_buffers() {
    let mut all = Forms::default();
    let capacities = |all: &mut Forms| all.buffers().map(|buffer| buffer.capacity());
    all.compute(PERVERSE, Decode).unwrap();
    assert!(all.iter().count() > 60, "{}", all.iter().count());
    let before = capacities(&mut all);
    for path in [&b"/a"[..], b"/%zz", b"//", b"/x\\..", PERVERSE, b"", b"/a/../b", PERVERSE] {
        all.compute(path, Decode).ok();
        assert_eq!(capacities(&mut all), before);
    }
}

#[test]
fn lets_outsized_buffers_go() {
    let mut all = Forms::default();
    let long = [PERVERSE, &[b'x'; 7 * 1024]].concat();
    all.compute(&long, Decode).unwrap();
    assert!(all.others.bytes.capacity() > 60 * 7 * 1024);
    all.compute(b"/a", Decode).unwrap();
    assert!(all.buffers().iter().all(|buffer| buffer.capacity() <= KEPT_BYTES));
}

#[test]
fn a_long_path_is_read_in_one_form_or_not_at_all() {
    let mut forms = Forms::default();
    let long = [b"/".as_slice(), &[b'a'; LONGEST_BYTES]].concat();
    assert_eq!(forms.compute(&long, EncodedSlash::Decode), Ok(()));
    assert_eq!(forms.iter().count(), 1);
    let escaped = [long.as_slice(), b"%41"].concat();
    assert_eq!(forms.compute(&escaped, EncodedSlash::Decode), Err(PathError::TooLong));
    assert_eq!(forms.iter().collect::<Vec<_>>(), [escaped.as_slice()]);
    let query = [b"/%41?".as_slice(), &long].concat();
    assert_eq!(forms.compute(&query, EncodedSlash::Decode), Ok(()));
}
