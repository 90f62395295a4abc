use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;

fn jwt(claims: &str) -> String {
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", ENGINE.encode(claims))
}

fn ends(claims: &str) -> Result<Option<u64>, Malformed> {
    expires_at_ms(jwt(claims).as_bytes())
}

/// RFC 7519 section 3.1, line breaks in the claims included.
#[test]
fn the_example_of_the_rfc() {
    let token = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ\
        .dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_eq!(expires_at_ms(token), Ok(Some(1_300_819_380_000)));
    // Section 6.1: unsecured, the last part empty.
    let token = b"eyJhbGciOiJub25lIn0\
        .eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(expires_at_ms(token), Ok(Some(1_300_819_380_000)));
}

#[test]
fn numeric_dates_of_all_kinds() {
    for (exp, expected) in [
        ("0", 0),
        ("1", 1_000),
        ("1300819380.5", 1_300_819_380_500),
        ("1.3e9", 1_300_000_000_000),
        ("0.0004", 0),
        ("-0", 0),
        ("-1", 0),
        ("-9223372036854775808", 0),
        ("-1e300", 0),
        ("9223372036854775808", u64::MAX),
        ("18446744073709551615", u64::MAX),
        ("18446744073709551616", u64::MAX),
        ("1e308", u64::MAX),
    ] {
        assert_eq!(ends(&format!("{{\"exp\":{exp}}}")), Ok(Some(expected)), "{exp}");
    }
}

#[test]
fn a_broken_end_is_not_none() {
    for claims in [
        r#"{"exp":1e400}"#,
        r#"{"exp":"1300819380"}"#,
        r#"{"exp":null}"#,
        r#"{"exp":[1]}"#,
        r#"{"exp":true}"#,
        r#"{"exp":1,"exp":99999999999}"#,
        r#"{"exp":1"#,
        r#"{"exp":1} x"#,
        r#" {"exp"#,
        "{",
    ] {
        assert_eq!(ends(claims), Err(Malformed), "{claims}");
    }
    assert!(ends(&"{\"a\":".repeat(5_000)).is_err());
}

#[test]
fn what_says_nothing() {
    for claims in ["{}", r#"{"EXP":1,"a":{"exp":1}}"#, "[1]", "\"exp\"", "7", "", "text"] {
        assert_eq!(ends(claims), Ok(None), "{claims}");
    }
    let claims = ENGINE.encode(r#"{"exp":1}"#);
    for token in [
        "".to_string(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        claims.clone(),
        format!("e30.{claims}"),
        format!(".{claims}.c2ln"),
        format!("e30.{claims}.c2ln."),
        format!("e30.{claims}.c2ln.c2ln.c2ln"),
        format!("e30.{claims} .c2ln"),
        format!("e30.{claims}.c2ln "),
        format!("e+0.{claims}.c2ln"),
        format!("e30.{claims}/.c2ln"),
        "e30.\u{e9}.c2ln".into(),
    ] {
        assert_eq!(expires_at_ms(token.as_bytes()), Ok(None), "{token}");
    }
}

/// Whoever checks the token may be as lenient.
#[test]
fn takes_base64url_that_is_not_quite() {
    assert_eq!(expires_at_ms(b"e30.eyJleHAiOjF9.c2ln"), Ok(Some(1_000)));
    assert_eq!(expires_at_ms(b"e30=.IHsiZXhwIjoxfQ==.c2ln"), Ok(Some(1_000)));
    assert_eq!(expires_at_ms(b"e30.IHsiZXhwIjoxfR.c2ln"), Ok(Some(1_000)));
}

#[test]
fn whatever_comes_only_the_claims_decide() {
    const PIECES: [&str; 12] =
        ["{\"exp\":", "}", "1", "9", "e9", "-", ".5", ",\"a\":", "\"", "null", "[", " "];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as usize
    };
    let (mut ended, mut malformed) = (0, 0);
    for _ in 0..20_000 {
        let mut claims: String = (0..random() % 5).map(|_| PIECES[random() % 12]).collect();
        if random() % 2 == 0 {
            claims = format!("{{\"exp\":{claims}}}");
        }
        let end = ends(&claims);
        assert!(end == Ok(None) || claims.trim_start().starts_with('{'), "{claims}");
        ended += usize::from(matches!(end, Ok(Some(_))));
        malformed += usize::from(end.is_err());
        let token = jwt(&claims);
        assert_eq!(expires_at_ms(token.trim_end_matches("c2ln").as_bytes()), end);
        assert_eq!(expires_at_ms(format!("{token}.").as_bytes()), Ok(None));
        let bytes: Vec<u8> = (0..random() % 40).map(|_| random() as u8).collect();
        let _ = expires_at_ms(&bytes);
        let _ = expires_at_ms(&[b"e30.", ENGINE.encode(&bytes).as_bytes(), b".e"].concat());
    }
    assert!(ended > 100 && malformed > 100, "{ended}, {malformed}");
}
