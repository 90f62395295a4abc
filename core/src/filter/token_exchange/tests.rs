//! The filter on the host in memory.

mod cached;
mod granted;
mod stage;

use alloc::format;
use alloc::string::{String, ToString};

use crate::callout::{CalloutId, DispatchError, Event, Outcome};
use crate::config::HashKey;
use crate::host::{Level, UnixTime};
use crate::policy::Policy;
use stage::{Got, Lines, Stage, document, text};

const CALLER: Lines<'static> = &[("authorization", "Bearer s3cret-credential")];

#[test]
fn a_credential_is_traded_for_a_token() {
    let stage = Stage::of(
        r#""headers": [{"name": "X-Key", "value": "s3cret-key"}], "timeout": "150ms",
           "request_headers": ["authorization", "x-tenant", "x-none"]"#,
    );
    let (mut client, got) = stage.request(
        1,
        &[
            ("authorization", "Bearer s3cret-credential"),
            ("x-auth-jwt", "forged"),
            ("x-tenant", "a"),
            ("x-tenant", "b"),
        ],
    );
    assert_eq!(got, Got::Wait);
    {
        let callouts = stage.world.callouts.borrow();
        let sent = callouts.values().next().unwrap();
        assert_eq!((sent.cluster.as_str(), sent.timeout_ms, sent.body.len()), ("auth", 150, 0));
        assert_eq!(
            text(&sent.fields),
            ":method: GET\n:path: /token\n:authority: auth.example.com\nx-key: s3cret-key\n\
             authorization: Bearer s3cret-credential\nx-tenant: a\nx-tenant: b\n"
        );
    }
    stage.pass(40);
    assert_eq!(stage.answer(&mut client, 200, &[], "\r\nt0ken\n"), Got::On);
    assert_eq!(client.values("x-auth-jwt"), "t0ken");
    assert_eq!(client.values("authorization"), "Bearer s3cret-credential");
    assert_eq!(stage.metric(&client, "callouts.granted"), 1);
    assert_eq!(stage.metric(&client, "allowed"), 1);
    assert_eq!(
        client.host.recorded().iter().map(|(_, ms)| *ms).collect::<alloc::vec::Vec<_>>(),
        [40]
    );
    assert!(!client.stream.is_waiting());
}

#[test]
fn every_end_of_a_callout() {
    let long = "t".repeat(16_385);
    let refused = |status, fields| {
        Got::reply(status, "exchange_refused", fields, "The token service refused the request.")
    };
    let cases: [(u16, Lines<'_>, &str, Got, &str); 14] = [
        (200, &[], "", Got::unusable(), "unusable"),
        (200, &[], "a\r\nset-cookie: b", Got::unusable(), "unusable"),
        (200, &[], "a\0b", Got::unusable(), "unusable"),
        (200, &[], &long, Got::unusable(), "unusable"),
        (201, &[], "t0ken", Got::unusable(), "unusable"),
        (204, &[], "", Got::unusable(), "unusable"),
        (302, &[("location", "/")], "", Got::unusable(), "unusable"),
        (500, &[], "t0ken", Got::unavailable(), "unavailable"),
        (503, &[], "", Got::unavailable(), "unavailable"),
        (504, &[], "", Got::unavailable(), "unavailable"),
        (401, &[], "no", refused(401, &[("www-authenticate", "Bearer")]), "refused"),
        (
            401,
            &[
                ("www-authenticate", "Basic realm=\"a\""),
                ("www-authenticate", "Bearer"),
                ("x-a", "b"),
            ],
            "no",
            refused(
                401,
                &[("www-authenticate", "Basic realm=\"a\""), ("www-authenticate", "Bearer")],
            ),
            "refused",
        ),
        (
            401,
            &[("www-authenticate", "a\r\nb: c")],
            "",
            refused(401, &[("www-authenticate", "Bearer")]),
            "refused",
        ),
        (429, &[], "no", refused(429, &[]), "refused"),
    ];
    let stage = Stage::of("");
    for (status, fields, body, expected, result) in cases {
        let (mut client, _) = stage.request(1, CALLER);
        assert_eq!(stage.answer(&mut client, status, fields, body), expected, "{status} {result}");
        assert_eq!(client.values("x-auth-jwt"), "");
        for name in ["granted", "refused", "unavailable", "unusable"] {
            let count = stage.metric(&client, &format!("callouts.{name}"));
            assert_eq!(count, i64::from(name == result), "{status} {name}");
        }
    }
    let (mut client, _) = stage.request(1, CALLER);
    let (id, _) = stage.sent();
    assert_eq!(stage.event(&mut client, Event::Ended(id, Outcome::Failed)), Got::unavailable());
}

#[test]
fn where_it_is_allowed_the_request_goes_on_without_a_token() {
    let stage = Stage::of(r#""on_unavailable": "allow", "on_bad_answer": "allow""#);
    for (status, body) in [(500, "t0ken"), (200, ""), (302, "")] {
        let lines = [("authorization", "Bearer s3cret-credential"), ("x-auth-jwt", "forged")];
        let (mut client, _) = stage.request(1, &lines);
        assert_eq!(stage.answer(&mut client, status, &[], body), Got::On);
        assert_eq!(client.values("x-auth-jwt"), "");
        assert_eq!(client.values("authorization"), "Bearer s3cret-credential");
    }
    let (mut client, _) = stage.request(1, CALLER);
    assert!(matches!(stage.answer(&mut client, 403, &[], ""), Got::Reply { status: 403, .. }));
    stage.world.down.set(Some(DispatchError::NoCluster));
    let (client, got) = stage.request(1, &[("authorization", "a b"), ("x-auth-jwt", "forged")]);
    assert_eq!((got, client.values("x-auth-jwt")), (Got::On, String::new()));
}

#[test]
fn the_content_of_a_refusal_goes_with_it_where_it_may() {
    let stage = Stage::of(r#""relay_body": true"#);
    let large = "x".repeat(65_537);
    let json: (&str, &str) = ("content-type", "application/json");
    let ours = "The token service refused the request.";
    for (fields, body, fields_sent, sent) in [
        (&[json][..], "{}", &[json][..], "{}"),
        (&[("content-type", "a\nb")], "{}", &[], "{}"),
        (&[json], &large, &[], ours),
        (&[json, ("content-encoding", "gzip")], "\u{1f}", &[], ours),
        (&[json], "", &[json], ""),
    ] {
        let (mut client, _) = stage.request(1, CALLER);
        let got = stage.answer(&mut client, 403, fields, body);
        assert_eq!(got, Got::reply(403, "exchange_refused", fields_sent, sent));
    }
}

#[test]
fn a_callout_that_cannot_be_started() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    for error in [DispatchError::NoCluster, DispatchError::Rejected, DispatchError::CannotSend] {
        stage.world.down.set(Some(error));
        let (client, got) = stage.request(1, CALLER);
        assert_eq!(got, Got::unavailable());
        assert_eq!(client.logged(Level::Warn), format!("- token_exchange with auth: {error}\n"));
        assert_eq!(stage.metric(&client, "callouts.unavailable"), 1);
        assert_eq!(stage.metric(&client, "denied.exchange_unavailable"), 1);
        assert_eq!(client.host.recorded(), []);
    }
    // Nobody is left behind: the next one asks.
    stage.world.down.set(None);
    let (mut client, got) = stage.request(2, CALLER);
    assert_eq!(got, Got::Wait);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
}

#[test]
fn what_is_not_for_a_request_changes_nothing() {
    let stage = Stage::of("");
    let (mut client, _) = stage.request(1, CALLER);
    for foreign in [0, 2, u64::MAX] {
        let event = Event::Ended(CalloutId(foreign), Outcome::Failed);
        assert_eq!(stage.event(&mut client, event), Got::Wait);
    }
    assert_eq!(stage.event(&mut client, Event::Woken), Got::Wait);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    // And once it has gone on, nothing does.
    let late = Event::Ended(CalloutId(1), Outcome::Failed);
    assert_eq!(stage.event(&mut client, late), Got::Wait);
    assert_eq!(client.values("x-auth-jwt"), "t0ken");
    stage.policy.on_gone(&mut client.stream, &client.host);
    let (mut client, _) = stage.request(2, CALLER);
    stage.policy.on_gone(&mut client.stream, &client.host);
    assert!(!client.stream.is_waiting());
    assert!(stage.woken().is_empty());
}

#[test]
fn without_a_credential() {
    let challenge: Lines<'_> = &[("www-authenticate", "Bearer")];
    let denied = Got::reply(401, "no_credentials", challenge, "A credential is required.");
    for lines in [&[][..], &[("authorization", "")], &[("authorization", " \t")]] {
        let (client, got) =
            Stage::of("").request(1, &[lines, &[("x-auth-jwt", "forged")]].concat());
        assert_eq!((got, client.values("x-auth-jwt")), (Got::On, String::new()));
        let (_, got) = Stage::of(r#""on_missing": "deny""#).request(1, lines);
        assert_eq!(got, denied);
    }
}

#[test]
fn more_than_one_credential() {
    let challenge: Lines<'_> = &[("www-authenticate", "Bearer")];
    let repeated =
        || Got::reply(401, "repeated_credentials", challenge, "There is more than one credential.");
    let stage = Stage::of(r#""request_headers": ["x-key", "authorization"]"#);
    for (lines, refused) in [
        (&[("x-key", "a"), ("x-key", "b")][..], true),
        (&[("x-key", "a"), ("authorization", "a"), ("authorization", "a")], true),
        (&[("x-key", "Bearer a,Bearer b")], true),
        (&[("x-key", "bearer a, b")], true),
        (&[("x-key", "BASIC a,b")], true),
        (&[("x-key", "Basic,")], true),
        (&[("x-key", "a"), ("authorization", "Basic a,Basic b")], true),
        (&[("x-key", "a, b")], false),
        (&[("x-key", "Digest a=\"b\", c=\"d\"")], false),
        (&[("x-key", "Bearers a,b")], false),
    ] {
        let (_, got) = stage.request(1, lines);
        assert_eq!(got, if refused { repeated() } else { Got::Wait }, "{lines:?}");
    }
}

#[test]
fn observing_asks_nobody_and_changes_nothing() {
    for more in ["", r#", "cache": {"ttl": "1m"}"#] {
        let stage = Stage::of(&format!(r#""mode": "observe", "on_missing": "deny"{more}"#));
        let lines = [("authorization", "Bearer s3cret-credential"), ("x-auth-jwt", "its own")];
        for count in 1..=2 {
            let (client, got) = stage.request(count, &lines);
            assert_eq!(got, Got::On);
            assert_eq!(client.values("x-auth-jwt"), "its own");
            assert_eq!(client.host.notes["observed.token_exchange"], b"paused");
            assert_eq!(stage.metric(&client, "observed"), 1);
            for name in ["hits", "misses", "coalesced", "waiting", "allowed"] {
                assert_eq!(stage.metric(&client, name), 0, "{name}");
            }
        }
        assert_eq!(stage.under_way(), 0);
        let (client, got) = stage.request(3, &[]);
        assert_eq!(got, Got::On);
        assert_eq!(client.host.notes["observed.token_exchange"], b"no_credentials");
        let (client, _) = stage.request(3, &[("authorization", "a"), ("authorization", "b")]);
        assert_eq!(client.host.notes["observed.token_exchange"], b"repeated_credentials");
    }
}

#[test]
fn a_token_as_authorization() {
    let fields = r#""header": "Authorization", "request_headers": ["x-key"], "on_unavailable": "allow",
        "on_bad_answer": "allow""#;
    let stage = Stage::of(fields);
    let lines = [("x-key", "s3cret-credential"), ("authorization", "Bearer forged")];
    for (status, body, expected) in [
        (200, "a.b-c_d~e+f/g==", "Bearer a.b-c_d~e+f/g=="),
        (200, "a b", ""),
        (200, "a,b", ""),
        (200, "<html>", ""),
        (500, "", ""),
    ] {
        let (mut client, _) = stage.request(1, &lines);
        assert_eq!(stage.answer(&mut client, status, &[], body), Got::On);
        assert_eq!(client.values("authorization"), expected, "{body}");
    }
    let (client, got) = stage.request(1, &lines[1..]);
    assert_eq!((got, client.values("authorization")), (Got::On, String::new()));

    // The credential itself is replaced.
    let stage = Stage::of(r#""header": "authorization", "cache": {"ttl": "1m"}"#);
    for number in 1..=2 {
        let (mut client, got) = stage.request(number, CALLER);
        if number == 1 {
            assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
        } else {
            assert_eq!(got, Got::On);
        }
        assert_eq!(client.values("authorization"), "Bearer t0ken");
        assert_eq!(client.host.reroutes, 1);
    }
}

#[test]
fn the_document_of_the_plugin() {
    let document = r#"{"auth_authority": "httpbin.default:8000", "auth_cluster_name": "outbound|8000||httpbin.default.svc.cluster.local"}"#;
    let stage = Stage::document(document);
    let (mut client, _) = stage.request(1, &[CALLER, &[("x-auth-jwt", "forged")]].concat());
    {
        let callouts = stage.world.callouts.borrow();
        let sent = callouts.values().next().unwrap();
        assert_eq!(sent.cluster, "outbound|8000||httpbin.default.svc.cluster.local");
        assert_eq!(sent.timeout_ms, 1_000);
        assert_eq!(
            text(&sent.fields),
            ":method: GET\n:path: /base64/RkFLRV9KV1QK\n:authority: httpbin.default:8000\n\
             accept: */*\nauthorization: Bearer s3cret-credential\n"
        );
    }
    assert_eq!(stage.answer(&mut client, 200, &[], "\r\nFAKE_JWT\n"), Got::On);
    assert_eq!(client.values("x-auth-jwt"), "FAKE_JWT");

    let plugins = |status, slug: &str, body| {
        Got::reply(status, slug, &[("generated-by", "My WASM plugin")], body)
    };
    for (status, slug) in [
        (201, "unusable"),
        (301, "unusable"),
        (400, "refused"),
        (401, "refused"),
        (403, "refused"),
        (500, "unavailable"),
        (503, "unavailable"),
        (504, "unavailable"),
    ] {
        let (mut client, _) = stage.request(1, CALLER);
        let got = stage.answer(&mut client, status, &[("www-authenticate", "Basic")], "theirs");
        assert_eq!(got, plugins(status, &format!("exchange_{slug}"), "Failed to add JWT"));
        assert_eq!(stage.metric(&client, &format!("callouts.{slug}")), 1);
    }
    for (status, body) in [(204, ""), (0, "Failed to add JWT"), (200, "Failed to add JWT")] {
        let status_sent = if status == 204 { 204 } else { 503 };
        let slug = if status == 0 { "exchange_unavailable" } else { "exchange_unusable" };
        let (mut client, _) = stage.request(1, CALLER);
        let got = stage.answer(&mut client, status, &[], "");
        assert_eq!(got, plugins(status_sent, slug, body), "{status}");
    }
    let (mut client, _) = stage.request(1, CALLER);
    let (id, _) = stage.sent();
    assert_eq!(
        stage.event(&mut client, Event::Ended(id, Outcome::Failed)),
        plugins(503, "exchange_unavailable", "Failed to add JWT")
    );
    let (client, got) = stage.request(1, &[("x-auth-jwt", "forged")]);
    assert_eq!((got, client.values("x-auth-jwt")), (Got::On, String::new()));
}

#[test]
fn the_document_of_the_plugin_with_what_is_ours() {
    let document = |more: &str| {
        format!(
            r#"{{"auth_authority": "a", "auth_cluster_name": "b", "auth_timeout_ms": 150{more}}}"#
        )
    };
    let stage = Stage::document(&document(r#", "mode": "observe""#));
    assert_eq!(stage.request(1, CALLER).1, Got::On);
    assert_eq!(stage.under_way(), 0);

    let stage = Stage::document(&document(r#", "cache": {"ttl": "1m", "stale_if_error": "1m"}"#));
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.world.callouts.borrow().values().next().unwrap().timeout_ms, 150);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    stage.pass(61_000);
    let (mut client, got) = stage.request(2, CALLER);
    assert_eq!(got, Got::Wait);
    assert_eq!(stage.answer(&mut client, 500, &[], ""), Got::On);
    assert_eq!(client.values("x-auth-jwt"), "t0ken");
    assert_eq!(stage.metric(&client, "stale"), 1);
}

#[test]
fn secrets_stay_out_of_logs_and_debug() {
    let grant =
        r#""grant": {"token_exchange": {"client": {"id": "us", "secret": "s3cret-client"}}}"#;
    for fields in
        [r#""headers": [{"name": "x-key", "value": "s3cret-key"}], "cache": {"ttl": "1m"}"#, grant]
    {
        let stage = Stage::of(fields);
        let mut shown = format!("{:?} {:?} {:?}", stage.policy, stage.policy.stores(), stage.world);
        for (status, body) in [
            (200, "s3cret-token"),
            (200, "s3cret\0token"),
            (200, r#"{"access_token": "s3cret-token", "token_type": "s3cret-type"}"#),
            (400, r#"{"error": "s3cret-code"}"#),
            (400, r#"{"error": "invalid_client", "error_description": "s3cret-text"}"#),
            (401, "s3cret-text"),
            (302, "s3cret-text"),
            (500, "s3cret-text"),
        ] {
            let (mut client, _) = stage.request(1, CALLER);
            shown += &format!("{:?}", client.stream);
            if stage.under_way() > 0 {
                let got = stage.answer(&mut client, status, &[("x-a", "s3cret-field")], body);
                assert_ne!(got, Got::Wait);
            }
            shown += &format!("{:?}", client.host.log_lines());
            stage.pass(120_000);
        }
        assert!(shown.contains("token_exchange with auth: "), "{shown}");
        for secret in ["s3cret", "us:", "dXM6"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let filter = filter(fields);
        assert!(!format!("{filter:?}").contains("s3cret"), "{filter:?}");
    }
}

#[test]
fn times_are_those_of_the_document() {
    let policy = Policy::<crate::NoFurther>::load(document("").as_bytes(), HashKey::new([1; 16]));
    assert_eq!(policy.unwrap().stores(), []);
    let stage = Stage::of(r#""timeout": "1h""#);
    stage.world.now.set(UnixTime(u64::MAX));
    let (mut client, _) = stage.request(1, CALLER);
    stage.world.now.set(UnixTime(0));
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    assert_eq!(client.host.recorded().len(), 1);
    assert_eq!(client.values("x-auth-jwt").to_string(), "t0ken");
}

fn filter(fields: &str) -> super::TokenExchange {
    use crate::config::{Load, Pointer};
    use crate::filter::Filter;
    let required = r#""cluster": "auth", "authority": "auth.example.com", "path": "/token""#;
    let fields = serde_json::from_str(&format!("{{{required}, {fields}}}")).unwrap();
    let mut load = Load::new(HashKey::new([0; 16]));
    super::TokenExchange::compile(fields, &Pointer::Root, &mut load).unwrap()
}
