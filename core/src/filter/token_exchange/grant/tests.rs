use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use serde_json::{Value, json};

use super::*;
use crate::config::{HashKey, Json};

/// Through the same door as a configuration.
fn compile(token_exchange: Value) -> Result<Grant, Vec<String>> {
    let text = json!({"token_exchange": token_exchange}).to_string();
    let document: Json = serde_json::from_str(&text).unwrap();
    let mut load = Load::new(HashKey::new([7; 16]));
    let at = Pointer::Root.key("grant");
    let grant =
        load.read::<GrantFields>(&at, &document).and_then(|fields| fields.compile(&at, &mut load));
    load.finish(grant).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn body(grant: &Grant, subject_token: &str, actor_token: Option<&str>) -> String {
    let mut out = Vec::from(*b"stale");
    grant.write_body(subject_token.as_bytes(), actor_token.map(str::as_bytes), &mut out);
    String::from_utf8(out).unwrap()
}

fn parts(grant: &Grant) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    grant.fingerprint_parts(&mut |part| parts.push(part.to_owned()));
    parts
}

fn field<'g>(grant: &'g Grant, name: &str) -> Option<&'g [u8]> {
    let field = grant.fields().iter().find(|field| field.name().as_bytes() == name.as_bytes());
    field.map(|field| field.value().as_bytes())
}

/// RFC 8693 section 2.3.
#[test]
fn the_example_of_the_rfc() {
    let grant = compile(json!({
        "client": {"id": "rs08", "secret": "long-secure-random-secret"},
        "resource": "https://backend.example.com/api",
    }))
    .unwrap();
    assert_eq!(
        field(&grant, "authorization"),
        Some(&b"Basic cnMwODpsb25nLXNlY3VyZS1yYW5kb20tc2VjcmV0"[..])
    );
    assert_eq!(field(&grant, "content-type"), Some(&b"application/x-www-form-urlencoded"[..]));
    assert_eq!(field(&grant, "accept"), Some(&b"application/json"[..]));
    // The parameters of the RFC, `subject_token` last.
    assert_eq!(
        body(&grant, "accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC", None),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
         &resource=https%3A%2F%2Fbackend.example.com%2Fapi\
         &subject_token=accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC"
    );
}

#[test]
fn every_parameter() {
    let grant = compile(json!({
        "client": {"id": "a b", "secret": "&:%", "authentication": "body"},
        "subject_token_type": "urn:s", "requested_token_type": "urn:r",
        "audience": ["one", "two & three"], "scope": "read write",
        "resource": ["https://a.example/?x=1", "urn:b"],
        "actor_token": {"header": "X-Actor"}, "actor_token_type": "urn:a",
    }))
    .unwrap();
    let same = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
         &client_id=a+b&client_secret=%26%3A%25\
         &subject_token_type=urn%3As&requested_token_type=urn%3Ar\
         &audience=one&audience=two+%26+three\
         &resource=https%3A%2F%2Fa.example%2F%3Fx%3D1&resource=urn%3Ab&scope=read+write";
    assert_eq!(
        body(&grant, "t+=&", Some("a&b")),
        format!("{same}&subject_token=t%2B%3D%26&actor_token=a%26b&actor_token_type=urn%3Aa")
    );
    // The type of an actor's token is not sent without it.
    assert_eq!(body(&grant, "t", None), format!("{same}&subject_token=t"));
    assert_eq!(grant.actor_field().unwrap().as_bytes(), b"x-actor");
    assert_eq!(field(&grant, "authorization"), None);
}

#[test]
fn nothing_but_the_grant() {
    let grant = compile(json!({})).unwrap();
    assert_eq!(grant.fields().len(), 2);
    assert!(grant.actor_field().is_none());
    let text = body(&grant, "t", Some("nobody asked for it"));
    assert!(text.ends_with("token-type%3Aaccess_token&subject_token=t"), "{text}");
    let grant = compile(json!({"actor_token": {"header": "x-a"}})).unwrap();
    let text = body(&grant, "t", Some("a"));
    assert!(
        text.ends_with("&actor_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token")
    );
}

/// RFC 6749 section 2.3.1: a colon in the id is encoded, and stays apart from the one between.
#[test]
fn id_and_secret_are_encoded_before_they_are_joined() {
    for (id, secret, plain) in [
        ("s6BhdRkqt3", "gX1fBat3bV", "s6BhdRkqt3:gX1fBat3bV"),
        ("a:b", "c:d", "a%3Ab:c%3Ad"),
        ("https://me.example", "p w+%", "https%3A%2F%2Fme.example:p+w%2B%25"),
    ] {
        let grant = compile(json!({"client": {"id": id, "secret": secret}})).unwrap();
        let expected = format!("Basic {}", STANDARD.encode(plain));
        assert_eq!(field(&grant, "authorization"), Some(expected.as_bytes()), "{id}");
    }
}

#[test]
fn hostile_tokens_stay_in_their_parameter() {
    let grant = compile(json!({"actor_token": {"header": "x-a"}})).unwrap();
    let all: Vec<u8> = (0..=255).collect();
    let mut out = Vec::new();
    grant.write_body(&all, Some(&all), &mut out);
    assert!(out.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"*-._+%&=".contains(&byte)));
    let pairs: Vec<&[u8]> = out.split(|&byte| byte == b'&').collect();
    assert_eq!(pairs.len(), 5);
    assert!(pairs.iter().all(|pair| pair.iter().filter(|&&byte| byte == b'=').count() == 1));
}

#[test]
fn whatever_is_wrong_is_refused_where_it_stands() {
    for (fields, at) in [
        (json!({"client": {"id": "", "secret": "s3cret"}}), "/client/id: "),
        (json!({"client": {"id": "a", "secret": ""}}), "/client/secret: "),
        (json!({"client": {"id": "a", "secret": "s3cret\n"}}), "/client/secret: "),
        (json!({"client": {"id": "\u{e9}", "secret": "s3cret"}}), "/client/id: "),
        (json!({"client": {"id": "a"}}), "/client: "),
        (json!({"client": {"id": "a", "secret": 5}}), "/client/secret: "),
        (
            json!({"client": {"id": "a", "secret": "b", "authentication": "s3cret"}}),
            "/client/authentication: ",
        ),
        (json!({"client": "s3cret"}), "/client: "),
        (json!({"secret": "s3cret"}), "/secret: "),
        (json!({"subject_token_type": "access_token"}), "/subject_token_type: "),
        (json!({"subject_token_type": null}), "/subject_token_type: "),
        (json!({"requested_token_type": ""}), "/requested_token_type: "),
        (json!({"requested_token_type": REFRESH_TOKEN_TYPE}), "/requested_token_type: "),
        (json!({"audience": ""}), "/audience: "),
        (json!({"audience": []}), "/audience: "),
        (json!({"audience": ["a", ""]}), "/audience/1: "),
        (json!({"audience": ["a", 5]}), "/audience/1: "),
        (
            json!({"audience": {"a": "b"}}),
            "/audience: found an object; expected a string or a list",
        ),
        (json!({"scope": ""}), "/scope: "),
        (json!({"scope": "a  b"}), "/scope: "),
        (json!({"scope": "a\"b"}), "/scope: "),
        (json!({"scope": ["a"]}), "/scope: "),
        (json!({"resource": "/api"}), "/resource: "),
        (json!({"resource": "https://a/#b"}), "/resource: "),
        (json!({"resource": "https://a/ b"}), "/resource: "),
        (json!({"resource": ["https:"]}), "/resource/0: "),
        (json!({"resource": "1a:b"}), "/resource: "),
        (json!({"actor_token": {"header": ":path"}}), "/actor_token/header: "),
        (json!({"actor_token": {"header": "x-a"}, "actor_token_type": "x"}), "/actor_token_type: "),
        (json!({"actor_token_type": "urn:a"}), "/actor_token_type: "),
    ] {
        let errors = compile(fields.clone()).unwrap_err();
        let at = format!("/grant/token_exchange{at}");
        assert!(errors.len() == 1 && errors[0].starts_with(&at), "{fields}: {errors:?}");
        assert!(!errors[0].contains("s3cret"), "{errors:?}");
    }
    let all = json!({"client": {"id": "", "secret": ""}, "scope": "", "resource": ["a", "b"]});
    assert_eq!(compile(all).unwrap_err().len(), 5);
}

#[test]
fn whatever_decides_what_is_asked_is_in_the_fingerprint() {
    let client = |id: &str, authentication: &str| json!({"client": {"id": id, "secret": "b", "authentication": authentication}});
    let grants: Vec<_> = [
        json!({}),
        client("a", "basic"),
        client("a", "body"),
        client("c", "basic"),
        json!({"client": {"id": "a", "secret": "c"}}),
        json!({"audience": "a"}),
        json!({"resource": "urn:a"}),
        json!({"audience": ["a", "b"]}),
        json!({"audience": ["b", "a"]}),
        json!({"audience": "a&audience=b"}),
        json!({"scope": "a"}),
        json!({"subject_token_type": "urn:a"}),
        json!({"requested_token_type": "urn:a"}),
        json!({"actor_token": {"header": "a"}}),
        json!({"actor_token": {"header": "b"}}),
        json!({"actor_token": {"header": "a"}, "actor_token_type": "urn:a"}),
    ]
    .map(|fields| parts(&compile(fields).unwrap()))
    .into();
    for (i, one) in grants.iter().enumerate() {
        assert_eq!(one.len(), 5);
        assert!(grants.iter().skip(i + 1).all(|other| other != one), "{i}");
    }
    let again = compile(json!({"audience": ["a"], "subject_token_type": ACCESS_TOKEN_TYPE}));
    assert_eq!(parts(&again.unwrap()), parts(&compile(json!({"audience": "a"})).unwrap()));
}

#[test]
fn nothing_shows_the_secret() {
    let grant = compile(json!({"client": {"id": "me", "secret": "s3cret"}})).unwrap();
    let shown = format!("{grant:?} {:?}", grant.fields());
    assert!(!shown.contains("s3cret") && !shown.contains("Basic"), "{shown}");
}

#[test]
fn scopes_and_uris() {
    for good in ["a", "a b c", "https://a/b:c", "!#[]~"] {
        assert!(is_scope(good), "{good}");
    }
    for bad in ["", " ", "a ", " a", "a\tb", "a\\b", "\u{e9}"] {
        assert!(!is_scope(bad), "{bad}");
    }
    let good = vec!["urn:a", "https://a.example", "a+b-c.d:e", "https://[::1]/%20?a=b"];
    assert!(good.into_iter().all(is_absolute_uri));
    for bad in ["", ":", "a", "a:", ":a", "a b:c", "a:b c", "a:b#", "a:\u{e9}", "a:<b>", "a:\n"] {
        assert!(!is_absolute_uri(bad), "{bad}");
    }
}
