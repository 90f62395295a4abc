//! With the grant of RFC 8693.

use super::stage::{Got, Lines, Stage, text};
use crate::host::Level;
use alloc::format;
use alloc::string::String;

const GRANT: &str = r#""grant": {"token_exchange": {
    "client": {"id": "us", "secret": "s3cret"}, "audience": "orders",
    "actor_token": {"header": "x-actor"}}}, "request_headers": ["authorization", "x-tenant"]"#;
const CALLER: Lines<'static> = &[("authorization", "bearer c4ller"), ("x-tenant", "a")];
const TOKEN: &str = r#"{"access_token": "t0ken", "token_type": "Bearer",
    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "expires_in": 60}"#;

#[test]
fn the_credential_is_in_the_form() {
    let stage = Stage::of(GRANT);
    for (more, actor) in [
        (&[][..], None),
        (&[("x-actor", "4ctor")], Some("4ctor")),
        (&[("x-actor", "Bearer 4ctor")], Some("4ctor")),
    ] {
        let (mut client, got) = stage.request(1, &[CALLER, more].concat());
        assert_eq!(got, Got::Wait);
        let (id, sent) = stage.sent();
        let fields = text(&sent.fields);
        assert!(fields.starts_with(":method: POST\n:path: /token\n:authority: "), "{fields}");
        assert!(fields.contains("\nauthorization: Basic "), "{fields}");
        assert!(fields.contains("content-type: application/x-www-form-urlencoded\n"), "{fields}");
        assert!(fields.ends_with("x-tenant: a\n") && !fields.contains("c4ller"), "{fields}");
        let form = String::from_utf8(sent.body.clone()).unwrap();
        let parameters: alloc::vec::Vec<&str> = form.split('&').collect();
        assert!(parameters.contains(&"subject_token=c4ller"), "{form}");
        assert_eq!(form.contains("actor_token="), actor.is_some(), "{form}");
        if let Some(actor) = actor {
            assert!(parameters.contains(&format!("actor_token={actor}").as_str()), "{form}");
        }
        stage.world.callouts.borrow_mut().insert(id, sent);
        assert_eq!(stage.answer(&mut client, 200, &[], TOKEN), Got::On);
        assert_eq!(client.values("x-auth-jwt"), "t0ken");
    }
}

#[test]
fn the_code_of_an_error_decides() {
    let invalid_token: Lines<'_> = &[("www-authenticate", "Bearer error=\"invalid_token\"")];
    let refused = |status, fields| {
        Got::reply(status, "exchange_refused", fields, "The token service refused the request.")
    };
    let stage = Stage::of(GRANT);
    for (status, code, expected) in [
        (400, "invalid_request", refused(401, invalid_token)),
        (400, "invalid_grant", refused(401, invalid_token)),
        (401, "invalid_token", refused(401, invalid_token)),
        (400, "invalid_scope", refused(403, &[])),
        (400, "invalid_target", refused(403, &[])),
        (401, "invalid_client", Got::unusable()),
        (400, "unauthorized_client", Got::unusable()),
        (400, "unsupported_grant_type", Got::unusable()),
        (429, "", Got::unusable()),
        (500, "invalid_grant", Got::unavailable()),
    ] {
        let (mut client, _) = stage.request(1, CALLER);
        let body = format!(r#"{{"error": "{code}"}}"#);
        let lines = [("www-authenticate", "Basic realm=\"theirs\"")];
        assert_eq!(stage.answer(&mut client, status, &lines, &body), expected, "{code}");
        let ours = ["invalid_client", "unauthorized_client", "unsupported_grant_type"];
        let logged = client.logged(Level::Error);
        assert_eq!(!logged.is_empty(), ours.contains(&code), "{code}: {logged}");
    }
}

#[test]
fn only_a_bearer_can_be_traded() {
    let stage = Stage::of(GRANT);
    let challenge: Lines<'_> = &[("www-authenticate", "Bearer")];
    let body = "The credential is not well-formed.";
    for value in ["Basic YTpi", "Bearer", "Bearer a b", "Bearer \u{e9}", "c4ller", "Bearer ="] {
        let (_, got) = stage.request(1, &[("authorization", value)]);
        assert_eq!(got, Got::reply(401, "malformed_credentials", challenge, body), "{value}");
    }
    for lines in [
        &[("authorization", "Bearer a"), ("x-actor", "a"), ("x-actor", "b")][..],
        &[("authorization", "Bearer a"), ("x-actor", "Bearer a,Bearer b")],
        &[("authorization", "Bearer a,b")],
    ] {
        let (_, got) = stage.request(1, lines);
        let body = "There is more than one credential.";
        assert_eq!(got, Got::reply(401, "repeated_credentials", challenge, body), "{lines:?}");
    }
    assert_eq!(stage.under_way(), 0);
}

#[test]
fn the_actor_counts() {
    let stage = Stage::of(&format!(r#"{GRANT}, "cache": {{"ttl": "1m"}}"#));
    for (number, actor) in ["a", "b", "bb"].into_iter().enumerate() {
        let (mut client, got) = stage.request(number, &[CALLER, &[("x-actor", actor)]].concat());
        assert_eq!(got, Got::Wait, "{actor}");
        assert_eq!(stage.answer(&mut client, 200, &[], TOKEN), Got::On);
    }
    assert_eq!(stage.request(9, &[CALLER, &[("x-actor", "b")]].concat()).1, Got::On);
    // `expires_in` less 15 s.
    stage.pass(45_000);
    assert_eq!(stage.request(9, &[CALLER, &[("x-actor", "b")]].concat()).1, Got::Wait);
}
