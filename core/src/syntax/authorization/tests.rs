use alloc::string::String;
use alloc::{format, vec};

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;

use super::*;

fn encoded(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn read(value: impl AsRef<[u8]>) -> Result<(Vec<u8>, Vec<u8>), BasicError> {
    let mut decoded = vec![0xff; 3];
    basic(value.as_ref(), &mut decoded)
        .map(|credential| (credential.user.into(), credential.password.into()))
}

#[test]
fn splits_at_the_first_colon() {
    for (text, user, password) in [
        ("Aladdin:open sesame", "Aladdin", "open sesame"),
        ("a:b:c:", "a", "b:c:"),
        (":p", "", "p"),
        ("u:", "u", ""),
        (":", "", ""),
        ("test:123\u{a3}", "test", "123\u{a3}"),
        ("u:a,b", "u", "a,b"),
    ] {
        assert_eq!(read(encoded(text)), Ok((user.into(), password.into())), "{text}");
    }
    assert_eq!(
        read(encoded(b"u:\xff\xfe")),
        Ok(("u".into(), vec![0xff, 0xfe])),
        "the password need not be UTF-8"
    );
}

#[test]
fn takes_the_scheme_in_any_case_and_space_around() {
    for value in [
        "basic YTpi",
        "BASIC YTpi",
        "bAsIc     YTpi",
        "  Basic YTpi \t",
        "\tBasic YTpi",
        "Basic YTpi",
    ] {
        assert_eq!(read(value), Ok(("a".into(), "b".into())), "{value:?}");
    }
}

#[test]
fn tells_another_scheme_from_a_broken_value() {
    for value in [
        "",
        " ",
        "Basi",
        "Bearer YTpi",
        "BasicYTpi",
        "Basic2 YTpi",
        "Basic-x YTpi",
        "YTpi",
        "Digest a=\"b\", c=d",
        ",Basic YTpi",
        "Bearer x,Basic YTpi",
        "\u{a0}Basic YTpi",
    ] {
        assert_eq!(read(value), Err(BasicError::OtherScheme), "{value:?}");
    }
    for value in [
        "Basic",
        "basic ",
        "Basic\tYTpi",
        "Basic \tYTpi",
        "Basic\u{a0}YTpi",
        "Basic=YTpi",
        "Basic:YTpi",
        "Basic YTpi YTpi",
        "Basic YT pi",
        "Basic YTpi=",
        "Basic YTpj!",
        "Basic \"YTpi\"",
        "Basic YTpi\0",
        "Basic YTpi\r\nx: y",
        "Basic YWI=", // no colon
        "Basic ====",
    ] {
        assert_eq!(read(value), Err(BasicError::Malformed), "{value:?}");
    }
}

#[test]
fn a_comma_is_a_repeat() {
    for value in [
        "Basic YTpi,Basic YTpj",
        "Basic YTpi, Bearer x",
        "Basic YTpi,",
        "Basic ,",
        "basic,",
        "Basic,Basic YTpi",
    ] {
        assert_eq!(read(value), Err(BasicError::Repeated), "{value:?}");
    }
}

#[test]
fn refuses_control_characters_in_either_part() {
    for byte in (0..0x20).chain([0x7f]) {
        assert_eq!(
            read(encoded([b'a', byte, b':', b'b'])),
            Err(BasicError::Malformed),
            "{byte:#x}"
        );
        assert_eq!(
            read(encoded([b'a', b':', b'b', byte])),
            Err(BasicError::Malformed),
            "{byte:#x}"
        );
    }
}

#[test]
fn what_it_accepts_says_the_same_in_other_words() {
    // Whatever bytes come, an accepted value is the encoding of `user:password`.
    let alphabet = b" ,=:YTpi\tBasic\x00\xff";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut accepted = 0;
    for _ in 0..20_000 {
        let mut value = Vec::from(*b"Basic YTpi");
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let byte = alphabet[(state >> 8) as usize % alphabet.len()];
            let at = (state >> 40) as usize % (value.len() + 1);
            if state & 1 == 0 { value.insert(at, byte) } else { value[at.min(9)] = byte }
        }
        if let Ok((user, password)) = read(&value) {
            accepted += 1;
            let token = STANDARD.encode([&user[..], b":", &password[..]].concat());
            let text = String::from_utf8_lossy(&value).into_owned();
            let trimmed = text.trim_matches([' ', '\t']);
            assert!(trimmed[..6].eq_ignore_ascii_case("basic "), "{text:?}");
            assert_eq!(
                trimmed[6..].trim_start_matches(' ').trim_end_matches('='),
                token.trim_end_matches('='),
                "{text:?}"
            );
        }
    }
    assert!(accepted > 50, "{accepted}");
}

#[test]
fn debug_shows_no_secret() {
    let credential = Credential { whole: b"root:hunter2", user: b"root", password: b"hunter2" };
    assert_eq!(format!("{credential:?}"), "Credential(4 + 7 bytes)");
}

#[test]
fn the_challenge_quotes_its_realm() {
    let text = |realm| challenge(realm).map(|value| String::from_utf8(value).unwrap());
    assert_eq!(text("istio").as_deref(), Ok(r#"Basic realm="istio", charset="UTF-8""#));
    assert_eq!(text(r#"a "b" \c"#).as_deref(), Ok(r#"Basic realm="a \"b\" \\c", charset="UTF-8""#));
    assert_eq!(text("").as_deref(), Ok(r#"Basic realm="", charset="UTF-8""#));
    for realm in ["a\r\nset-cookie: b", "a\0", "a\tb", "\u{7f}"] {
        assert_eq!(text(realm), Err(RealmError::ControlCharacter), "{realm:?}");
    }
    assert_eq!(text("caf\u{e9}"), Err(RealmError::NotAscii));
}
