use alloc::vec::Vec;

use super::*;

fn read(line: &str) -> Result<CacheControl, Malformed> {
    CacheControl::read([line.as_bytes()])
}

fn max_age(line: &str) -> Option<u64> {
    read(line).unwrap().max_age_s
}

#[test]
fn directives_in_any_case_and_order() {
    let all =
        CacheControl { no_store: true, no_cache: true, must_revalidate: true, max_age_s: Some(5) };
    for line in [
        "no-store, no-cache, must-revalidate, max-age=5",
        "MAX-AGE=5,No-Cache,NO-STORE,Must-Revalidate",
        ",, \t no-store ,,no-cache\t,must-revalidate , max-age=5 , ,",
        "no-store=\"x\", no-cache=\"set-cookie\", must-revalidate=1, max-age=\"5\"",
    ] {
        assert_eq!(read(line), Ok(all), "{line}");
    }
    for line in ["", " ", ",", "public, private, s-maxage=0, proxy-revalidate, immutable, x=\"\""] {
        assert_eq!(read(line), Ok(CacheControl::default()), "{line}");
    }
    assert_eq!(CacheControl::read([]), Ok(CacheControl::default()));
}

#[test]
fn several_lines_are_one_list() {
    let lines = [&b"max-age=5"[..], b"", b"private", b"no-store"];
    let directives = CacheControl::read(lines).unwrap();
    assert!(directives.no_store && directives.max_age_s == Some(5));
}

#[test]
fn a_directive_in_quotes_or_in_a_name_is_none() {
    for line in [
        r#"community="UCI, no-store""#,
        r#"private="a\", no-store, \"b""#,
        r#"x="\\", y="no-store""#,
        "xno-store, no-store-x, x=no-store",
    ] {
        assert_eq!(read(line), Ok(CacheControl::default()), "{line}");
    }
    assert!(read(r#"x="\\", no-store"#).unwrap().no_store);
}

#[test]
fn a_broken_or_contradictory_age_is_stale() {
    for (line, expected) in [
        ("max-age=0", 0),
        ("max-age=00060", 60),
        ("max-age=2147483648", 1 << 31),
        ("max-age=18446744073709551616", u64::MAX),
        ("max-age=99999999999999999999999999999999", u64::MAX),
        ("max-age", 0),
        ("max-age=-1", 0),
        ("max-age=+1", 0),
        ("max-age=1.5", 0),
        ("max-age=1e3", 0),
        ("max-age=\"\"", 0),
        ("max-age=\" 5\"", 0),
        ("max-age=\"6\\0\"", 0),
        ("max-age=60, max-age=60", 60),
        ("max-age=60, max-age=600", 0),
        ("max-age=60, max-age=600, max-age=60", 0),
        ("max-age=60, max-age", 0),
    ] {
        assert_eq!(max_age(line), Some(expected), "{line}");
    }
    assert_eq!(max_age("s-maxage=5"), None);
}

#[test]
fn another_grammar_is_refused() {
    for line in [
        "max-age = 60",
        "max-age= 60",
        "max-age=",
        "max-age=60; no-store",
        "max-age 60",
        "no-store no-cache",
        "=5",
        "\"no-store\"",
        "private=\"a, no-store",
        "private=\"a\\\"",
        "x=\"a\"b",
        "x=\"a\nb\"",
        "x=\"a\0\"",
        "no-store\r\n",
        "no-st\u{f6}re",
        "max-age=6\u{b2}",
        "{no-store}",
    ] {
        assert_eq!(read(line), Err(Malformed), "{line}");
    }
}

#[test]
fn the_first_age_counts() {
    for (lines, expected) in [
        (&[][..], 0),
        (&["30"], 30),
        (&[" 30\t"], 30),
        (&["30, 5"], 30),
        (&["30", "5"], 30),
        (&["99999999999999999999"], u64::MAX),
        (&["-30"], 0),
        (&["x, 5"], 0),
        (&["", "5"], 0),
        (&["3 0"], 0),
    ] {
        assert_eq!(age_s(lines.iter().map(|line| line.as_bytes())), expected, "{lines:?}");
    }
}

/// RFC 9110 section 5.2.
#[test]
fn two_lines_mean_what_they_mean_joined() {
    const PIECES: [&[u8]; 14] = [
        b"no-store",
        b"no-cache",
        b"max-age",
        b"private",
        b"=",
        b"=\"",
        b"\"",
        b",",
        b", ",
        b"7",
        b"\\",
        b"\xff",
        b"\0",
        b";",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as usize
    };
    let mut read = 0;
    for _ in 0..50_000 {
        let mut line = || {
            let pieces: Vec<&[u8]> = (0..random() % 8).map(|_| PIECES[random() % 14]).collect();
            pieces.concat()
        };
        let (one, other) = (line(), line());
        let _ = age_s([one.as_slice()]);
        let Ok(directives) = CacheControl::read([one.as_slice(), other.as_slice()]) else {
            continue;
        };
        let joined = [&one[..], &other[..]].join(&b", "[..]);
        assert_eq!(CacheControl::read([joined.as_slice()]), Ok(directives));
        read += 1;
    }
    assert!(read > 500, "{read}");
}
