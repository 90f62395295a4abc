use alloc::string::String;

use super::*;

fn host(authority: &str) -> String {
    let mut out = Vec::from(*b"stale");
    String::from_utf8(normalise(authority.as_bytes(), &mut out).into()).unwrap()
}

#[test]
fn brings_hosts_into_one_form() {
    for (authority, expected) in [
        ("example.com", "example.com"),
        ("EXAMPLE.com:443", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:80", "example.com"),
        ("example.com..", "example.com."),
        ("example.com:", "example.com"),
        ("example.com:abc", "example.com"),
        ("example.com:80:80", "example.com"),
        ("user:pw@example.com:80", "example.com"),
        ("evil.com@a@Example.com", "example.com"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("[FE80::1%25eth0]:80", "fe80::1%25eth0"),
        ("2001:DB8::1", "2001:db8::1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("[::1", "[::1"),
        ("[::1]x", "[::1]x"),
        ("", ""),
        (".", ""),
        (":80", ""),
        ("@", ""),
    ] {
        assert_eq!(host(authority), expected, "{authority}");
    }
    let mut out = Vec::new();
    assert_eq!(normalise(b"A\xff:1", &mut out), b"a\xff");
}

#[test]
fn keeps_its_buffer() {
    let mut out = Vec::with_capacity(16);
    let place = out.as_ptr();
    for authority in [&b"example.com:8080"[..], b"[::1]", b"", b"EXAMPLE.COM"] {
        normalise(authority, &mut out);
        assert_eq!(out.as_ptr(), place);
    }
}

#[test]
fn reads_patterns() {
    use HostPattern::{Any, Exact, Prefix, Suffix};
    let name = |text: &str| text.as_bytes().into();
    for (text, expected) in [
        ("*", Any),
        ("Example.com.", Exact(name("example.com"))),
        ("*.Example.com", Suffix(name(".example.com"))),
        ("*.example.com.", Suffix(name(".example.com"))),
        ("*com", Suffix(name("com"))),
        ("api.*", Prefix(name("api."))),
        ("127.0.0*", Prefix(name("127.0.0"))),
        ("[::1]", Exact(name("::1"))),
        ("::1", Exact(name("::1"))),
        ("2001:DB8:*", Prefix(name("2001:db8:"))),
        ("[2001:*", Prefix(name("2001:"))),
        ("*::1]", Suffix(name("::1"))),
        ("*::1", Suffix(name("::1"))),
    ] {
        assert_eq!(HostPattern::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn refuses_patterns_that_could_not_match() {
    use HostPatternError::{Brackets, Empty, InvalidCharacter, Port, Star};
    for (text, error) in [
        ("", Empty),
        (".", Empty),
        ("*.", Empty),
        ("**", Star),
        ("*a*", Star),
        ("a*b", Star),
        ("*a*b", Star),
        ("***", Star),
        ("example.com:80", Port),
        ("example.com:*", Port),
        ("*:80", Port),
        ("*.example.com:80", Port),
        ("[::1]:80", Port),
        ("*[::1]:80", Port),
        ("example.com:80:90", Port),
        ("[::1", Brackets),
        ("::1]", Brackets),
        ("[::1]x", Brackets),
        ("[]", Brackets),
        ("[example.com]", Brackets),
        ("a[b]", Brackets),
        ("[::1]]", Brackets),
        ("https://example.com", InvalidCharacter),
        ("example.com/a", InvalidCharacter),
        ("user@example.com", InvalidCharacter),
        ("exam ple.com", InvalidCharacter),
        (" example.com", InvalidCharacter),
        ("example.com\n", InvalidCharacter),
        ("\0", InvalidCharacter),
        ("a\u{7f}", InvalidCharacter),
    ] {
        assert_eq!(HostPattern::parse(text), Err(error), "{text:?}");
    }
}

#[test]
fn matches_normalised_hosts() {
    for (pattern, authority, expected) in [
        ("*", "anything:1", true),
        ("*", "", true),
        ("example.com", "EXAMPLE.COM.:443", true),
        ("example.com", "a.example.com", false),
        ("*.example.com", "a.b.Example.com:1", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", "aexample.com", false),
        ("api.*", "API.internal", true),
        ("api.*", "xapi.internal", false),
        ("127.0.0*", "127.0.0.1:80", true),
        ("[::1]", "::1", true),
        ("::1", "[::1]:80", true),
        ("[2001:*", "[2001:db8::1]:80", true),
        ("*::1]", "[fe80::1]", true),
    ] {
        let mut out = Vec::new();
        let matches =
            HostPattern::parse(pattern).unwrap().matches(normalise(authority.as_bytes(), &mut out));
        assert_eq!(matches, expected, "{pattern} {authority}");
    }
}

#[test]
fn a_host_that_is_a_pattern_matches_itself_under_every_disguise() {
    let pieces = ["a", "B", ".", ":", "[", "]", "1", "@", "%"];
    let mut read = 0;
    for mut number in 0..pieces.len().pow(5) {
        let mut text = String::new();
        for _ in 0..5 {
            text.push_str(pieces[number % pieces.len()]);
            number /= pieces.len();
        }
        let Ok(pattern) = HostPattern::parse(&text) else { continue };
        read += 1;
        let bracketed = if text.contains(':') && !text.contains('[') {
            alloc::format!("[{text}]")
        } else {
            text.clone()
        };
        for authority in [text.clone(), text.to_uppercase(), alloc::format!("u@{bracketed}:80")] {
            let mut out = Vec::new();
            assert!(
                pattern.matches(normalise(authority.as_bytes(), &mut out)),
                "{text} {authority}"
            );
        }
    }
    assert!(read > 1000, "{read}");
}
