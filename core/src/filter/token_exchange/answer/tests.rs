use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use serde_json::json;

use super::*;
use crate::config::HashKey;

const MAX: usize = 32;

fn answer<'a>(status: u16, body: &'a [u8]) -> CalloutAnswer<'a> {
    CalloutAnswer { status, fields: &[], body }
}

fn token(token: &str) -> Read {
    Read::Token { token: Bytes::copy_from_slice(token.as_bytes()), expires_in_s: None }
}

fn is_unusable(read: &Read) -> bool {
    matches!(read, Read::Unusable(_))
}

mod body {
    use super::*;

    fn body(bytes: &[u8]) -> Read {
        read(&answer(200, bytes), &TokenPlace::Body, MAX)
    }

    #[test]
    fn white_space_around_it_is_trimmed() {
        for text in ["abc", " abc", "abc\r\n", "\r\n\t abc \t\n\r", "abc\n\n"] {
            assert_eq!(body(text.as_bytes()), token("abc"), "{text:?}");
        }
        assert_eq!(body(b"a b,c"), token("a b,c"));
    }

    #[test]
    fn what_cannot_be_written_is_no_token() {
        for text in [
            "",
            " \r\n\t",
            "a\nb",
            "a\r\nx-admin: true",
            "a\0",
            "\0a",
            "a\x0b",
            "<html>\n</html>",
            "a\x7fb",
            "\u{1b}[0m",
        ] {
            assert!(is_unusable(&body(text.as_bytes())), "{text:?}");
        }
    }

    #[test]
    fn too_long_is_an_error_and_no_cut() {
        let fits = "x".repeat(MAX);
        assert_eq!(body(fits.as_bytes()), token(&fits));
        assert_eq!(body(format!("{fits}\n").as_bytes()), token(&fits));
        assert!(is_unusable(&body(format!("{fits}x").as_bytes())));
        assert!(is_unusable(&body(&[b'x'; 10_000_000])));
    }

    #[test]
    fn no_other_status_has_a_token() {
        for status in [0, 100, 201, 204, 302, 400, 401, 404, 499, 500, 503, 504, u16::MAX] {
            assert!(
                is_unusable(&read(&answer(status, b"abc"), &TokenPlace::Body, MAX)),
                "{status}"
            );
        }
    }
}

mod document {
    use super::*;

    fn at(pointer: &str, text: &[u8]) -> Read {
        let place = TokenPlace::Json(JsonPointer::parse(pointer).unwrap());
        read(&answer(200, text), &place, MAX)
    }

    #[test]
    fn a_string_at_the_place() {
        for (pointer, text) in [
            ("", r#" "abc" "#),
            ("/token", r#"{"token": "abc"}"#),
            ("/data/0/t~1k", r#"{"data": [{"t/k": "\u0061bc"}, 1e300]}"#),
        ] {
            assert_eq!(at(pointer, text.as_bytes()), token("abc"), "{text}");
        }
    }

    #[test]
    fn anything_else() {
        for text in [
            "",
            "abc",
            "[]",
            "{}",
            r#"{"t": null}"#,
            r#"{"t": 1}"#,
            r#"{"t": ["abc"]}"#,
            r#"{"t": {"t": "abc"}}"#,
            r#"{"t": ""}"#,
            r#"{"t": " abc"}"#,
            r#"{"t": "abc\n"}"#,
            r#"{"t": "a\r\nb: c"}"#,
            r#"{"t": "a\u0000"}"#,
            r#"{"t": "abc", "t": "abc"}"#,
            r#"{"t": "abc", "x": {"y": 1, "y": 2}}"#,
            r#"{"t": "abc"} x"#,
            r#"{"t": "abc", "x": 1e400}"#,
            "{\"t\": \"\u{e9}\"",
        ] {
            assert!(is_unusable(&at("/t", text.as_bytes())), "{text}");
        }
        assert!(is_unusable(&at("/t", b"{\"t\": \"\xff\"}")));
        let long = json!({"t": "x".repeat(MAX + 1)}).to_string();
        assert!(is_unusable(&at("/t", long.as_bytes())));
    }

    #[test]
    fn its_size_and_its_depth_are_bounded() {
        let text = |around: usize| {
            let mut text = format!(r#"{{"t": "abc", "x": "{}"}}"#, "x".repeat(around));
            text.extend(core::iter::repeat_n(' ', (MAX + 65_536).saturating_sub(text.len())));
            text
        };
        assert_eq!(text(9).len(), MAX + 65_536);
        assert_eq!(at("/t", text(9).as_bytes()), token("abc"));
        assert!(is_unusable(&at("/t", format!("{} ", text(9)).as_bytes())));
        let deep = format!(r#"{{"t": "abc", "x": {}{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
        assert!(is_unusable(&at("/t", deep.as_bytes())));
    }
}

mod header {
    use super::*;

    fn with(fields: &[(&[u8], &[u8])]) -> Read {
        let place = TokenPlace::Header(FieldName::parse("X-Token").unwrap());
        read(&CalloutAnswer { status: 200, fields, body: b"body" }, &place, MAX)
    }

    #[test]
    fn exactly_one_line() {
        assert_eq!(with(&[(b"a", b"b"), (b"x-token", b"abc")]), token("abc"));
        assert_eq!(with(&[(b"x-token", b" abc\t")]), token("abc"));
        for fields in [
            &[][..],
            &[(&b"x-token"[..], &b""[..])],
            &[(b"x-token", b"a\nb")],
            &[(b"x-token", &[b'x'; MAX + 1])],
            &[(b"x-token", b"abc"), (b"x-token", b"abc")],
            &[(b"x-token", b""), (b"x-token", b"abc")],
        ] {
            assert!(is_unusable(&with(fields)));
        }
    }
}

mod grant {
    use super::*;

    fn grant(status: u16, text: &str) -> Read {
        read(&answer(status, text.as_bytes()), &TokenPlace::Grant, MAX)
    }

    fn granted() -> Map<String, Value> {
        let Value::Object(object) = json!({
            "access_token": "abc",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 60,
        }) else {
            unreachable!()
        };
        object
    }

    /// The same with one member changed, or without it.
    fn but(name: &str, value: Option<Value>) -> Read {
        let mut object = granted();
        match value {
            Some(value) => object.insert(name.into(), value),
            None => object.remove(name),
        };
        grant(200, &Value::Object(object).to_string())
    }

    /// RFC 8693 section 2.3 and RFC 6749 section 5.2.
    #[test]
    fn the_examples_of_the_rfcs() {
        let body = br#"
            {
             "access_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6IjllciJ9.eyJhdWQiOiJo
               dHRwczovL2JhY2tlbmQuZXhhbXBsZS5jb20iLCJpc3MiOiJodHRwczovL2FzLmV
               4YW1wbGUuY29tIiwiZXhwIjoxNDQxOTE3NTkzLCJpYXQiOjE0NDE5MTc1MzMsIn
               N1YiI6ImJkY0BleGFtcGxlLmNvbSIsInNjb3BlIjoiYXBpIn0.40y3ZgQedw6rx
               f59WlwHDD9jryFOr0_Wh3CGozQBihNBhnXEQgU85AI9x3KmsPottVMLPIWvmDCM
               y5-kdXjwhw",
             "issued_token_type":
                 "urn:ietf:params:oauth:token-type:access_token",
             "token_type":"Bearer",
             "expires_in":60
            }"#;
        // The RFC breaks the token into lines for display only.
        let lines: Vec<&[u8]> = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).collect();
        let text = lines.concat();
        let read = read(&answer(200, &text), &TokenPlace::Grant, 16_384);
        let Read::Token { token, expires_in_s: Some(60) } = read else { panic!("{read:?}") };
        assert!(token.starts_with(b"eyJhbGci") && token.ends_with(b"y5-kdXjwhw"));
        assert_eq!(
            grant(400, "{\"error\":\"invalid_request\"}"),
            Read::Refused(GrantError::Caller)
        );
    }

    #[test]
    fn what_is_required_is_checked() {
        let whole = Read::Token { token: Bytes::from_static(b"abc"), expires_in_s: Some(60) };
        assert_eq!(but("scope", Some(json!("a b"))), whole);
        assert_eq!(but("token_type", Some(json!("bEARER"))), whole);
        assert_eq!(but("token_type", Some(json!("n_a"))), whole);
        assert_eq!(but("issued_token_type", Some(json!("urn:x"))), whole);
        for name in ["access_token", "issued_token_type", "token_type"] {
            assert!(is_unusable(&but(name, None)), "{name}");
            for value in [json!(""), json!(null), json!(1), json!(["abc"]), json!({"a": "b"})] {
                assert!(is_unusable(&but(name, Some(value.clone()))), "{name}: {value}");
            }
        }
        for other in ["DPoP", "mac", "Bearer ", "N-A"] {
            assert!(is_unusable(&but("token_type", Some(json!(other)))), "{other}");
        }
        assert!(is_unusable(&but("issued_token_type", Some(json!(REFRESH_TOKEN_TYPE)))));
        for text in ["", "[]", "null", "\"abc\"", r#"{"error": "invalid_grant"}"#] {
            assert!(is_unusable(&grant(200, text)), "{text}");
        }
        let text = Value::Object(granted()).to_string();
        for status in [201, 204, 302, 500] {
            assert!(is_unusable(&grant(status, &text)), "{status}");
        }
        let twice = text.replace('}', r#","access_token":"abc"}"#);
        assert!(is_unusable(&grant(200, &twice)));
    }

    #[test]
    fn a_bearer_token_has_its_own_grammar() {
        for bad in ["a b", "a,b", "a=b", "=", "a\u{e9}", "\"a\"", "a\n"] {
            assert!(is_unusable(&but("access_token", Some(json!(bad)))), "{bad:?}");
        }
        let long = "x".repeat(MAX + 1);
        assert!(is_unusable(&but("access_token", Some(json!(long)))));
        let mut object = granted();
        object.insert("token_type".into(), json!("N_A"));
        for (text, good) in [("a b", true), ("a,b", true), ("a\n", false), (" a", false)] {
            object.insert("access_token".into(), json!(text));
            let read = grant(200, &Value::Object(object.clone()).to_string());
            assert_eq!(is_unusable(&read), !good, "{text:?}");
        }
    }

    #[test]
    fn expires_in_is_a_whole_number() {
        // Put together by hand: 1e400 and 2^64 are no values of serde_json.
        let expires = |number: &str| {
            grant(
                200,
                &format!(
                    r#"{{"access_token":"abc","issued_token_type":"urn:x","token_type":"Bearer","expires_in":{number}}}"#
                ),
            )
        };
        for (text, seconds) in [("0", 0), ("3600", 3600), ("18446744073709551615", u64::MAX)] {
            let read =
                Read::Token { token: Bytes::from_static(b"abc"), expires_in_s: Some(seconds) };
            assert_eq!(expires(text), read, "{text}");
        }
        assert!(is_unusable(&but("expires_in", None)));
        for text in [
            "-1",
            "0.5",
            "3600.0",
            "1e3",
            "1e400",
            "18446744073709551616",
            "\"3600\"",
            "null",
            "[1]",
            "true",
        ] {
            assert!(is_unusable(&expires(text)), "{text}");
        }
    }

    #[test]
    fn the_code_decides_whatever_the_status() {
        use GrantError::{Caller, Forbidden, Ourselves};
        for (code, expected) in [
            ("invalid_request", Caller),
            ("invalid_grant", Caller),
            ("invalid_token", Caller),
            ("invalid_scope", Forbidden),
            ("invalid_target", Forbidden),
            ("invalid_client", Ourselves("invalid_client")),
            ("unauthorized_client", Ourselves("unauthorized_client")),
            ("unsupported_grant_type", Ourselves("unsupported_grant_type")),
            ("access_denied", Ourselves("an error code that is not known")),
            ("Invalid_Grant", Ourselves("an error code that is not known")),
            ("invalid_grant\r\n", Ourselves("an error code that is not known")),
        ] {
            let text = json!({"error": code, "error_description": "x", "access_token": "abc"});
            for status in [400, 401, 403, 404, 429, 499] {
                let read = grant(status, &text.to_string());
                assert_eq!(read, Read::Refused(expected), "{status} {code}");
            }
            assert!(is_unusable(&grant(500, &text.to_string())));
        }
    }

    #[test]
    fn a_refusal_without_a_code_is_not_about_the_caller() {
        for text in [
            "",
            "RBAC: access denied",
            "[]",
            "{}",
            r#"{"error": ""}"#,
            r#"{"error": null}"#,
            r#"{"error": {"code": "invalid_grant"}}"#,
            r#"{"error": "invalid_grant", "error": "invalid_grant"}"#,
            r#"{"error": "invalid_grant"#,
        ] {
            for status in [400, 401, 403, 418] {
                assert!(is_unusable(&grant(status, text)), "{status} {text}");
            }
        }
        let long = json!({"error": "invalid_grant", "x": "x".repeat(MAX + 65_536)});
        assert!(is_unusable(&grant(400, &long.to_string())));
    }
}

#[test]
fn the_grammar_of_bearer_tokens() {
    for good in ["a", "mF_9.B5f-4.1JqM", "a~b+c/d==", "0="] {
        assert!(is_b64token(good.as_bytes()), "{good}");
    }
    for bad in ["", "=", "==", "a=b", "a ", " a", "a,b", "a:b", "a|b", "a\0", "\u{e9}"] {
        assert!(!is_b64token(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn places_in_the_configuration() {
    let compile = |value: Value| {
        let mut load = Load::new(HashKey::new([7; 16]));
        let fields: TokenFields = serde_json::from_value(value).unwrap();
        let place = fields.compile(&Pointer::Root.key("token"), &mut load);
        load.finish(place).map_err(|errors| errors.to_string())
    };
    assert_eq!(compile(json!("body")), Ok(TokenPlace::Body));
    let pointer = JsonPointer::parse("/a/0").unwrap();
    assert_eq!(compile(json!({"json": "/a/0"})), Ok(TokenPlace::Json(pointer)));
    let name = FieldName::parse("x-token").unwrap();
    assert_eq!(compile(json!({"header": "X-Token"})), Ok(TokenPlace::Header(name)));
    for (value, at) in [
        (json!({"json": "a"}), "/token/json: "),
        (json!({"json": "/~2"}), "/token/json: "),
        (json!({"header": ":status"}), "/token/header: "),
        (json!({"header": "a b"}), "/token/header: "),
    ] {
        let error = compile(value).unwrap_err();
        assert!(error.starts_with(at) && !error.contains("a b"), "{error}");
    }
}

#[test]
fn nothing_shows_a_token() {
    let read = Read::Token { token: Bytes::from_static(b"s3cret"), expires_in_s: Some(1) };
    assert_eq!(format!("{read:?}"), "Token(6 bytes, expires in Some(1) s)");
    for (status, text) in [(200, "{\"access_token\":\"s3cret\"}"), (400, "{\"error\":\"s3cret\"}")]
    {
        let read = super::read(&answer(status, text.as_bytes()), &TokenPlace::Grant, MAX);
        assert!(!format!("{read:?}").contains("s3cret"));
    }
}

#[test]
fn survives_anything() {
    let pointer = JsonPointer::parse("/a").unwrap();
    let name = FieldName::parse("a").unwrap();
    let places =
        [TokenPlace::Body, TokenPlace::Json(pointer), TokenPlace::Header(name), TokenPlace::Grant];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut body = Vec::new();
        for _ in 0..seed % 48 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            body.extend_from_slice(
                [
                    &b"{"[..],
                    b"}",
                    b"\"a\"",
                    b":",
                    b",",
                    b"\"error\"",
                    b"[",
                    b"1e9",
                    b"\\u",
                    b"\xff",
                    b"\0",
                    b"\n",
                ][(seed >> 32) as usize % 12],
            );
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for place in &places {
            for status in [200, 400] {
                let fields = [(&b"a"[..], body.as_slice())];
                let answer = CalloutAnswer { status, fields: &fields, body: &body };
                if let Read::Token { token, .. } = read(&answer, place, MAX) {
                    assert!(FieldValue::new(&token).is_some() && token.len() <= MAX);
                }
            }
        }
    }
}
