use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ::base64::Engine;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const NOW: UnixTime = UnixTime(1_700_000_000_000);
const NOW_S: u64 = NOW.0 / 1_000;
const NEVER: UnixTime = UnixTime(u64::MAX);
const RULES: LifeRules =
    LifeRules { ttl_ms: 60_000, stale_if_error_ms: 10_000, refresh_ahead: true };

fn jwt(exp: impl core::fmt::Display) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}")))
}

fn of(fields: &[(&str, &str)], token: &str, expires_in_s: Option<u64>) -> Option<Life> {
    let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let answer = CalloutAnswer { status: 200, fields: &fields, body: b"" };
    life(&answer, token.as_bytes(), expires_in_s, &RULES, NOW)
}

/// Milliseconds that it is fresh, and is of use.
fn spans(life: Option<Life>) -> Option<(u64, u64)> {
    life.map(|life| (life.fresh_until.since(NOW), life.stale_until.since(NOW)))
}

#[test]
fn without_a_word_of_its_own_it_is_the_ttl() {
    let life = of(&[], "opaque", None).unwrap();
    assert_eq!(life.refresh_from, NOW.after(48_000));
    assert_eq!(life.fresh_until, NOW.after(60_000));
    assert_eq!(life.stale_until, NOW.after(70_000));
}

#[test]
fn asks_ahead_only_where_it_is_told_to() {
    let answer = CalloutAnswer { status: 200, fields: &[], body: b"" };
    let rules = LifeRules { refresh_ahead: false, ..RULES };
    assert_eq!(life(&answer, b"t", None, &rules, NOW).unwrap().refresh_from, NEVER);
    for (ttl_ms, from) in [(1, 1), (4, 4), (5, 4), (10, 8), (99, 80)] {
        let rules = LifeRules { ttl_ms, ..RULES };
        let life = life(&answer, b"t", None, &rules, NOW).unwrap();
        assert_eq!(life.refresh_from, NOW.after(from), "{ttl_ms}");
    }
}

#[test]
fn a_jwt_ends_before_its_exp() {
    for (after_s, expected) in [
        (100, Some((60_000, 70_000))),
        (75, Some((60_000, 70_000))),
        (70, Some((55_000, 65_000))),
        // Never stale past its own end.
        (40, Some((25_000, 35_000))),
        (16, Some((1_000, 11_000))),
        (15, None),
        (1, None),
        (0, None),
    ] {
        assert_eq!(spans(of(&[], &jwt(NOW_S + after_s), None)), expected, "{after_s}");
    }
    let rules = LifeRules { stale_if_error_ms: 3_600_000, ..RULES };
    let answer = CalloutAnswer { status: 200, fields: &[], body: b"" };
    let life = life(&answer, jwt(NOW_S + 40).as_bytes(), None, &rules, NOW);
    assert_eq!(spans(life), Some((25_000, 40_000)));
}

#[test]
fn hostile_ends() {
    for exp in ["0", "-1", "-1e300", "1e400", "\"soon\"", "null", "1700000000.5"] {
        assert_eq!(of(&[], &jwt(exp), None), None, "{exp}");
    }
    assert_eq!(of(&[], &jwt("9999999999,\"exp\":1"), None), None);
    let fractional = format!("{}.25", NOW_S + 20);
    assert_eq!(spans(of(&[], &jwt(fractional), None)), Some((5_250, 15_250)));
    for exp in ["9223372036854775808", "18446744073709551615", "1e30", "1e308"] {
        assert_eq!(spans(of(&[], &jwt(exp), None)), Some((60_000, 70_000)), "{exp}");
    }
    for seconds in [u64::MAX, 1 << 63, u64::MAX / 1_000] {
        assert_eq!(spans(of(&[], "t", Some(seconds))), Some((60_000, 70_000)));
    }
    let rules = LifeRules { ttl_ms: u64::MAX, stale_if_error_ms: u64::MAX, refresh_ahead: true };
    let answer = CalloutAnswer { status: 200, fields: &[], body: b"" };
    let life = life(&answer, b"t", Some(u64::MAX), &rules, NOW).unwrap();
    assert_eq!((life.fresh_until, life.stale_until), (NEVER, NEVER));
    assert!(life.refresh_from <= life.fresh_until);
}

#[test]
fn expires_in_counts_from_when_it_was_asked_for() {
    for (seconds, expected) in
        [(0, None), (15, None), (16, Some((1_000, 11_000))), (20, Some((5_000, 15_000)))]
    {
        assert_eq!(spans(of(&[], "t", Some(seconds))), expected, "{seconds}");
    }
    // The earlier end of the two counts, for both.
    assert_eq!(spans(of(&[], &jwt(NOW_S + 30), Some(20))), Some((5_000, 15_000)));
    assert_eq!(spans(of(&[], &jwt(NOW_S + 20), Some(30))), Some((5_000, 15_000)));
}

#[test]
fn max_age_less_age() {
    for (fields, expected) in [
        (&[("cache-control", "max-age=5")][..], Some((5_000, 15_000))),
        (&[("cache-control", "max-age=500")], Some((60_000, 70_000))),
        (&[("cache-control", "max-age=50"), ("age", "20")], Some((30_000, 40_000))),
        (&[("cache-control", "max-age=50"), ("age", "50")], None),
        (&[("cache-control", "max-age=50"), ("age", "51")], None),
        (&[("cache-control", "max-age=0")], None),
        (&[("cache-control", "max-age=-5")], None),
        (&[("cache-control", "max-age=5, max-age=6")], None),
        (
            &[("cache-control", "max-age=5"), ("cache-control", "must-revalidate")],
            Some((5_000, 5_000)),
        ),
        (&[("age", "500")], Some((60_000, 70_000))),
        (
            &[("cache-control", "private, s-maxage=0"), ("pragma", "no-cache")],
            Some((60_000, 70_000)),
        ),
        (&[("cache-control", "max-age=60"), ("cache-control", "no-store")], None),
        (&[("cache-control", "No-Store")], None),
        (&[("cache-control", "no-cache")], None),
        (&[("cache-control", "no-cache=\"set-cookie\"")], None),
        (&[("cache-control", "max-age=60; no-store")], None),
    ] {
        assert_eq!(spans(of(fields, "t", None)), expected, "{fields:?}");
    }
}

#[test]
fn no_store_is_not_for_a_client_that_is_told_how_long_it_may_use_the_token() {
    let fields = [("cache-control", "no-cache, no-store")];
    assert_eq!(of(&fields, "t", Some(3_600)), of(&[], "t", Some(3_600)));
    assert!(of(&fields, "t", Some(3_600)).is_some());
    assert_eq!(of(&fields, "t", None), None);
}

#[test]
fn points_come_in_order_whatever_comes() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed >> (seed % 64)
    };
    for _ in 0..20_000 {
        let control = format!("max-age={}", random());
        let age = format!("{}", random());
        let fields = [(&b"cache-control"[..], control.as_bytes()), (&b"age"[..], age.as_bytes())];
        let fields = fields.get(..random() as usize % 3).unwrap();
        let answer = CalloutAnswer { status: 200, fields, body: b"" };
        let exp = random();
        let token = if exp & 1 == 0 { jwt(exp) } else { "opaque".into() };
        let expires_in = random();
        let expires_in = (expires_in & 1 == 0).then_some(expires_in);
        let rules =
            LifeRules { ttl_ms: random(), stale_if_error_ms: random(), refresh_ahead: true };
        let asked_at = UnixTime(random());
        let Some(life) = life(&answer, token.as_bytes(), expires_in, &rules, asked_at) else {
            continue;
        };
        assert!(asked_at <= life.refresh_from && life.refresh_from <= life.fresh_until);
        assert!(life.fresh_until <= life.stale_until);
        assert!(life.fresh_until <= asked_at.after(rules.ttl_ms));
        if token != "opaque" {
            assert!(life.stale_until <= UnixTime(exp.saturating_mul(1_000)));
        }
    }
}
