//! With a cache, and requests that meet.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::stage::{Client, Got, Lines, Stage, document};
use crate::callout::{DispatchError, Event};
use crate::config::HashKey;
use crate::policy::Policy;

const CALLER: Lines<'static> = &[("authorization", "Bearer c4ller")];
const CACHE: &str = r#""cache": {"ttl": "1m", "refresh_ahead": true, "stale_if_error": "10s"}"#;

fn gone(stage: &Stage, client: &mut Client) {
    stage.policy.on_gone(&mut client.stream, &client.host);
}

#[test]
fn a_token_is_remembered() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    let (mut client, _) = stage.request(1, CALLER);
    stage.pass(500);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    assert_eq!((stage.metric(&client, "misses"), stage.metric(&client, "entries")), (1, 1));
    stage.pass(59_499);
    let (client, got) = stage.request(2, CALLER);
    assert_eq!((got, client.values("x-auth-jwt").as_str()), (Got::On, "t0ken"));
    assert_eq!((stage.metric(&client, "hits"), stage.metric(&client, "misses")), (1, 0));
    assert_eq!(stage.under_way(), 0);
    // Counted from when it was asked for.
    stage.pass(1);
    assert_eq!(stage.request(3, CALLER).1, Got::Wait);
}

#[test]
fn what_must_not_be_stored_is_asked_for_again() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    for (status, fields, body) in [
        (200, &[("cache-control", "no-store")][..], "t0ken"),
        (200, &[], ""),
        (500, &[], ""),
        (302, &[], ""),
        (404, &[], ""),
        (401, &[("cache-control", "no-store")], ""),
    ] {
        let (mut client, got) = stage.request(1, CALLER);
        assert_eq!(got, Got::Wait, "{status}");
        assert_ne!(stage.answer(&mut client, status, fields, body), Got::Wait);
    }
    assert_eq!(stage.request(1, CALLER).1, Got::Wait);
}

#[test]
fn a_refusal_is_remembered_for_a_little_while() {
    for (more, remembered) in [("", true), (r#", "negative_ttl": "0s""#, false)] {
        let stage = Stage::of(&format!(r#""cache": {{"ttl": "1m"{more}}}"#));
        let (mut client, _) = stage.request(1, CALLER);
        let first = stage.answer(&mut client, 403, &[], "");
        stage.pass(1_999);
        let (client, got) = stage.request(2, CALLER);
        assert_eq!(got, if remembered { first } else { Got::Wait });
        assert_eq!(stage.metric(&client, "negative_hits"), i64::from(remembered));
        stage.pass(1);
        assert_eq!(stage.request(3, CALLER).1, Got::Wait);
    }
}

#[test]
fn an_old_token_is_better_than_none() {
    let stage = Stage::of(CACHE);
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    stage.pass(60_000);
    let (mut leader, got) = stage.request(2, CALLER);
    assert_eq!(got, Got::Wait);
    let (mut other, got) = stage.request(3, CALLER);
    assert_eq!(got, Got::Wait);
    assert_eq!(stage.answer(&mut leader, 503, &[], ""), Got::On);
    assert_eq!(stage.woken(), [3]);
    assert_eq!(stage.event(&mut other, Event::Woken), Got::On);
    for client in [&leader, &other] {
        assert_eq!(client.values("x-auth-jwt"), "t0ken");
        assert_eq!(stage.metric(client, "stale"), 1);
    }
    stage.world.down.set(Some(DispatchError::CannotSend));
    let (client, got) = stage.request(4, CALLER);
    assert_eq!((got, client.values("x-auth-jwt").as_str()), (Got::On, "t0ken"));
    assert_eq!(stage.metric(&client, "stale"), 1);
    stage.pass(10_000);
    assert_eq!(stage.request(5, CALLER).1, Got::unavailable());
}

#[test]
fn whoever_wants_the_same_waits_for_one_callout() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    let (mut leader, _) = stage.request(1, CALLER);
    let mut others: Vec<Client> = (2..5)
        .map(|number| {
            let (client, got) = stage.request(number, CALLER);
            assert_eq!(got, Got::Wait);
            assert_eq!(stage.metric(&client, "coalesced"), 1);
            assert_eq!(stage.metric(&client, "waiting"), 1);
            client
        })
        .collect();
    assert_eq!(stage.under_way(), 1);
    // One that was not woken waits on, and one that goes away is missed by nobody.
    assert_eq!(stage.event(&mut others[0], Event::Woken), Got::Wait);
    gone(&stage, &mut others[2]);
    assert_eq!(stage.metric(&others[2], "waiting"), 0);
    assert_eq!(stage.answer(&mut leader, 200, &[], "t0ken"), Got::On);
    assert_eq!(stage.woken(), [2, 3]);
    for client in &mut others[..2] {
        assert_eq!(stage.event(client, Event::Woken), Got::On);
        assert_eq!(client.values("x-auth-jwt"), "t0ken");
        assert_eq!(stage.metric(client, "waiting"), 0);
    }
}

#[test]
fn refusals_and_failures_are_shared_too() {
    for (status, expected) in [(403, 403), (500, 503), (302, 503)] {
        let stage = Stage::of(r#""cache": {"ttl": "1m", "negative_ttl": "0s"}"#);
        let (mut leader, _) = stage.request(1, CALLER);
        let (mut other, _) = stage.request(2, CALLER);
        let first = stage.answer(&mut leader, status, &[], "");
        assert!(matches!(first, Got::Reply { status, .. } if status == expected));
        assert_eq!(stage.event(&mut other, Event::Woken), first);
    }
}

#[test]
fn when_the_leader_goes_the_next_one_leads() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    let (mut leader, _) = stage.request(1, CALLER);
    stage.pass(300);
    let (mut second, _) = stage.request(2, CALLER);
    stage.pass(200);
    let (mut third, _) = stage.request(3, CALLER);
    gone(&stage, &mut leader);
    stage.sent();
    assert_eq!(stage.woken(), [2]);
    assert_eq!(stage.event(&mut second, Event::Woken), Got::Wait);
    assert_eq!(stage.metric(&second, "waiting"), 0);
    // With the time that it has left itself.
    assert_eq!(stage.world.callouts.borrow().values().next().unwrap().timeout_ms, 800);
    assert_eq!(stage.event(&mut second, Event::Woken), Got::Wait);
    assert_eq!(stage.answer(&mut second, 200, &[], "t0ken"), Got::On);
    assert_eq!(stage.woken(), [3]);
    assert_eq!(stage.event(&mut third, Event::Woken), Got::On);
}

#[test]
fn whoever_is_woken_too_late_is_told_so() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    let (mut leader, _) = stage.request(1, CALLER);
    let (mut second, _) = stage.request(2, CALLER);
    stage.pass(1_000);
    let (mut third, _) = stage.request(3, CALLER);
    gone(&stage, &mut leader);
    stage.sent();
    assert_eq!(stage.event(&mut second, Event::Woken), Got::unavailable());
    assert_eq!(stage.metric(&second, "waiting"), 0);
    assert_eq!(stage.woken(), [2, 3]);
    assert_eq!(stage.event(&mut third, Event::Woken), Got::Wait);
    assert_eq!(stage.answer(&mut third, 200, &[], "t0ken"), Got::On);
}

#[test]
fn a_leader_whose_callout_cannot_be_started_strands_nobody() {
    let stage = Stage::of(r#""cache": {"ttl": "1m"}"#);
    let (mut leader, _) = stage.request(1, CALLER);
    let (mut second, _) = stage.request(2, CALLER);
    let (mut third, _) = stage.request(3, CALLER);
    gone(&stage, &mut leader);
    stage.world.down.set(Some(DispatchError::NoCluster));
    assert_eq!(stage.event(&mut second, Event::Woken), Got::unavailable());
    assert!(stage.woken().contains(&3));
    assert_eq!(stage.event(&mut third, Event::Woken), Got::unavailable());
}

#[test]
fn as_many_wait_as_may() {
    let stage = Stage::of(r#""cache": {"ttl": "1m", "max_waiters": 1}, "on_unavailable": "allow""#);
    let (_leader, _) = stage.request(1, CALLER);
    assert_eq!(stage.request(2, CALLER).1, Got::Wait);
    let (client, got) = stage.request(3, CALLER);
    let body = "Too many requests wait for the token service.";
    assert_eq!(got, Got::reply(503, "exchange_overloaded", &[("retry-after", "1")], body));
    assert_eq!(stage.metric(&client, "waiting"), 0);
    // Another question is none of theirs.
    assert_eq!(stage.request(4, &[("authorization", "Bearer other")]).1, Got::Wait);
}

#[test]
fn what_goes_to_the_service_tells_questions_apart() {
    let fields = r#""request_headers": ["authorization", "x-a", "x-b"], "cache": {"ttl": "1m"}"#;
    let stage = Stage::of(fields);
    let questions: [Lines<'_>; 9] = [
        &[("authorization", "a")],
        &[("authorization", "b")],
        &[("authorization", "a"), ("x-a", "1")],
        &[("authorization", "a"), ("x-b", "1")],
        &[("authorization", "a"), ("x-a", "1"), ("x-a", "1")],
        &[("authorization", "a"), ("x-a", "1"), ("x-b", "1")],
        &[("authorization", "a"), ("x-a", "x-b"), ("x-a", "1")],
        &[("authorization", "a"), ("x-a", "11")],
        &[("authorization", "a"), ("x-a", "")],
    ];
    for (number, lines) in questions.into_iter().enumerate() {
        let (mut client, got) = stage.request(number, lines);
        assert_eq!(got, Got::Wait, "{lines:?}");
        assert_eq!(stage.answer(&mut client, 200, &[], &format!("t{number}")), Got::On);
    }
    for (number, lines) in questions.into_iter().enumerate() {
        // What does not go there does not count.
        let (client, got) = stage.request(number, &[lines, &[("x-c", "1")]].concat());
        assert_eq!((got, client.values("x-auth-jwt")), (Got::On, format!("t{number}")));
    }
}

#[test]
fn what_decides_an_answer_is_in_the_fingerprint() {
    let fingerprint = |fields: &str| {
        let document = document(fields);
        let policy = Policy::<crate::NoFurther>::load(document.as_bytes(), HashKey::new([0; 16]));
        policy.unwrap_or_else(|errors| panic!("{errors}")).stores()[0].fingerprint
    };
    let cache = |fields: &str| format!(r#""cache": {{"ttl": "1m"{fields}}}"#);
    let plain = cache("");
    let grant = |fields: &str| format!(r#"{plain}, "grant": {{"token_exchange": {{{fields}}}}}"#);
    let own = |fields: &str| format!("{plain}, {fields}");
    let differ = [
        plain.clone(),
        cache(r#", "negative_ttl": "3s""#),
        cache(r#", "negative_ttl": "0s""#),
        cache(r#", "stale_if_error": "2s""#),
        cache(r#", "refresh_ahead": true"#),
        r#""cache": {"ttl": "2m"}"#.into(),
        own(r#""method": "POST""#),
        own(r#""timeout": "2s""#),
        own(r#""request_headers": ["x-a"]"#),
        own(r#""request_headers": ["x-a", "x-b"]"#),
        own(r#""headers": [{"name": "x-a", "value": "x-b"}]"#),
        own(r#""headers": [{"name": "x-a", "value": "x-c"}]"#),
        own(r#""token": {"json": "/a"}"#),
        own(r#""token": {"json": "/b"}"#),
        own(r#""token": {"json": "/a/b"}"#),
        own(r#""token": {"header": "a"}"#),
        own(r#""max_token_bytes": 100"#),
        own(r#""header": "authorization""#),
        own(r#""relay_body": true"#),
        grant(""),
        grant(r#""audience": "a""#),
        grant(r#""client": {"id": "a", "secret": "b"}"#),
        grant(r#""client": {"id": "a", "secret": "c"}"#),
        grant(r#""client": {"id": "a", "secret": "c", "authentication": "body"}"#),
        grant(r#""actor_token": {"header": "x-a"}"#),
    ];
    let fingerprints: BTreeSet<_> = differ.iter().map(|fields| fingerprint(fields)).collect();
    assert_eq!(fingerprints.len(), differ.len());
    for same in [
        own(r#""on_missing": "deny""#),
        own(r#""on_unavailable": "allow", "on_bad_answer": "allow""#),
        own(r#""header": "x-other""#),
        own(r#""name": "other", "mode": "observe", "method": "GET", "timeout": "1000ms""#),
        cache(r#", "max_entries": 10, "max_waiters": 1"#),
    ] {
        assert_eq!(fingerprint(&same), fingerprint(&plain), "{same}");
    }
}

#[test]
fn a_token_in_use_is_renewed_ahead_of_need() {
    let stage = Stage::of(CACHE);
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.answer(&mut client, 200, &[], "old"), Got::On);
    stage.pass(48_000);
    for number in 2..4 {
        let (client, got) = stage.request(number, CALLER);
        assert_eq!((got, client.values("x-auth-jwt").as_str()), (Got::On, "old"));
        assert_eq!(stage.metric(&client, "hits"), 1);
        assert!(!client.stream.is_waiting());
    }
    assert_eq!(stage.under_way(), 1);
    stage.pass(7);
    let host = stage.answer_errand(200, &[], "new");
    assert_eq!(stage.metric_of(&host, "callouts.granted"), 1);
    assert_eq!(host.recorded().first().map(|(_, ms)| *ms), Some(7));
    let (client, _) = stage.request(4, CALLER);
    assert_eq!(client.values("x-auth-jwt"), "new");
    // Another 48 s from when it was asked for.
    stage.pass(47_992);
    assert_eq!((stage.request(5, CALLER).1, stage.under_way()), (Got::On, 0));
    stage.pass(1);
    assert_eq!((stage.request(6, CALLER).1, stage.under_way()), (Got::On, 1));
}

#[test]
fn renewing_that_comes_to_nothing_strands_nobody() {
    let stage = Stage::of(CACHE);
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.answer(&mut client, 200, &[], "old"), Got::On);
    stage.pass(48_000);
    stage.world.down.set(Some(DispatchError::CannotSend));
    let (client, got) = stage.request(2, CALLER);
    assert_eq!((got, client.values("x-auth-jwt").as_str()), (Got::On, "old"));
    assert_eq!(stage.metric(&client, "callouts.unavailable"), 1);
    stage.world.down.set(None);
    stage.pass(5_000);
    assert_eq!((stage.request(3, CALLER).1, stage.under_way()), (Got::On, 1));
    stage.answer_errand(500, &[], "");
    stage.pass(6_500);
    assert_eq!((stage.request(4, CALLER).1, stage.under_way()), (Got::On, 1));
    // Past its time, whoever comes waits for the one that is under way.
    stage.pass(600);
    let (mut client, got) = stage.request(5, CALLER);
    assert_eq!((got, stage.under_way()), (Got::Wait, 1));
    stage.answer_errand(200, &[], "new");
    assert_eq!(stage.woken(), [5]);
    assert_eq!(stage.event(&mut client, Event::Woken), Got::On);
    assert_eq!(client.values("x-auth-jwt"), "new");
}

#[test]
fn instances_share_tokens_by_slots() {
    let stage = Stage::of(CACHE);
    *stage.world.slots.borrow_mut() = Some(BTreeMap::new());
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    let left = stage.world.slots.borrow().clone().unwrap();
    assert_eq!(left.len(), 1);

    let other = |change: fn(&mut Vec<u8>)| {
        let other = Stage::of(CACHE);
        let mut left = left.clone();
        left.values_mut().for_each(|(_, value)| change(value));
        *other.world.slots.borrow_mut() = Some(left);
        other
    };
    let second = other(|_| {});
    second.pass(59_999);
    let (client, got) = second.request(1, CALLER);
    assert_eq!((got, client.values("x-auth-jwt").as_str()), (Got::On, "t0ken"));
    assert_eq!((second.metric(&client, "hits"), second.metric(&client, "misses")), (1, 0));
    assert_eq!(second.metric(&client, "entries"), 1);
    // It was in its refresh window, so the next one has it renewed; and that is left for all.
    assert_eq!((second.request(2, CALLER).1, second.under_way()), (Got::On, 1));
    second.answer_errand(200, &[], "new");
    assert_ne!(*second.world.slots.borrow(), Some(left.clone()));

    // Another caller, one too late, and what nobody has left.
    assert_eq!(other(|_| {}).request(1, &[("authorization", "Bearer other")]).1, Got::Wait);
    let late = other(|_| {});
    late.pass(60_000);
    assert_eq!(late.request(1, CALLER).1, Got::Wait);
    let changes: [fn(&mut Vec<u8>); 5] = [
        |value| value.truncate(25),
        |value| value.truncate(20),
        |value| value[0] = 2,
        |value| value[25] = b'\n',
        |value| value[9] = 0xff, // fresh for ages
    ];
    for change in changes {
        assert_eq!(other(change).request(1, CALLER).1, Got::Wait);
    }
}

#[test]
fn a_token_that_another_instance_has_renewed_is_not_renewed_again() {
    let [first, second] = [(); 2].map(|()| Stage::of(CACHE));
    *first.world.slots.borrow_mut() = Some(BTreeMap::new());
    let (mut client, _) = first.request(1, CALLER);
    assert_eq!(first.answer(&mut client, 200, &[], "old"), Got::On);
    *second.world.slots.borrow_mut() = first.world.slots.borrow().clone();
    assert_eq!(second.request(1, CALLER).1, Got::On);
    first.pass(48_000);
    second.pass(48_000);
    assert_eq!((first.request(2, CALLER).1, first.under_way()), (Got::On, 1));
    first.answer_errand(200, &[], "new");
    *second.world.slots.borrow_mut() = first.world.slots.borrow().clone();
    assert_eq!((second.request(2, CALLER).1, second.under_way()), (Got::On, 0));
    let (client, _) = second.request(3, CALLER);
    assert_eq!(client.values("x-auth-jwt"), "new");
}

#[test]
fn a_refusal_takes_away_what_was_left() {
    let stage = Stage::of(r#""cache": {"ttl": "1m", "refresh_ahead": true, "negative_ttl": "0s"}"#);
    *stage.world.slots.borrow_mut() = Some(BTreeMap::new());
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    stage.pass(50_000);
    assert_eq!(stage.request(2, CALLER).1, Got::On);
    stage.answer_errand(401, &[], "");
    // Neither remembered nor left for others: it is asked for anew.
    assert_eq!(stage.request(3, CALLER).1, Got::Wait);
}

#[test]
fn who_is_late_gets_the_old_token_while_there_is_one() {
    let stage = Stage::of(CACHE);
    let (mut client, _) = stage.request(1, CALLER);
    assert_eq!(stage.answer(&mut client, 200, &[], "t0ken"), Got::On);
    stage.pass(60_000);
    let (mut leader, got) = stage.request(2, CALLER);
    assert_eq!(got, Got::Wait);
    let (mut waiter, got) = stage.request(3, CALLER);
    assert_eq!(got, Got::Wait);
    // The leader goes when the time of both is up.
    stage.pass(1_000);
    gone(&stage, &mut leader);
    assert_eq!(stage.woken(), [3]);
    assert_eq!(stage.event(&mut waiter, Event::Woken), Got::On);
    assert_eq!(waiter.values("x-auth-jwt"), "t0ken");
    assert_eq!(stage.metric(&waiter, "stale"), 1);
}

#[test]
fn refusals_are_left_for_nobody() {
    let stage = Stage::of(CACHE);
    *stage.world.slots.borrow_mut() = Some(BTreeMap::new());
    for (status, body, fields) in [
        (403, "", &[][..]),
        (500, "", &[]),
        (200, "", &[]),
        (200, "t0ken", &[("cache-control", "no-store")]),
    ] {
        let (mut client, got) = stage.request(1, CALLER);
        assert_eq!(got, Got::Wait);
        stage.answer(&mut client, status, fields, body);
        stage.pass(2_000);
    }
    assert_eq!(*stage.world.slots.borrow(), Some(BTreeMap::new()));
}
