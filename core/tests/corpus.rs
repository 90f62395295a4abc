//! The corpus on the in-memory host.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use pintle_core::config::HashKey;
use pintle_core::testing::corpus::{self, Case, Engine, Plan};
use pintle_core::testing::{Slots, World};
use pintle_core::{NoFurther, Policy, testing};

fn cases() -> Vec<Case> {
    let cases = corpus::load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).unwrap();
    cases.into_iter().filter(|case| case.engines.contains(&Engine::Memory)).collect()
}

#[test]
fn every_case() {
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let policy = Policy::<NoFurther>::load(case.config.as_bytes(), HashKey::new([7; 16]));
        let mismatches = match (&case.plan, policy) {
            (Plan::Exchange(exchange), Ok(policy)) => {
                corpus::verdicts(case, &testing::run(&policy, exchange))
            }
            (_, policy) => {
                corpus::refusals(case, policy.err().map(|errors| errors.to_string()).as_deref())
            }
        };
        wrong.extend(mismatches.iter().map(|mismatch| format!("{}: {mismatch}", case.title())));
    }
    assert!(wrong.is_empty(), "of {} cases:\n{}", cases.len(), wrong.join("\n"));
    assert!(!cases.is_empty());
}

/// As proxy-wasm has them: whoever has a store looks there first.
#[test]
fn every_case_on_a_host_with_slots() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Plan::Exchange(exchange) = &case.plan else { continue };
        let policy = Policy::load(case.config.as_bytes(), HashKey::new([7; 16])).unwrap();
        let seen = testing::run_in(&policy, exchange, &world(&policy, Slots::new()));
        let mismatches = corpus::verdicts(&case, &seen);
        wrong.extend(mismatches.iter().map(|mismatch| format!("{}: {mismatch}", case.title())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Several instances of one policy, with a store and a hash key each.
#[test]
fn instances_find_what_others_have_left() {
    let config = |more| {
        format!(
            r#"{{"filters": [{{"token_exchange": {{
                "cluster": "auth", "authority": "auth.example", "path": "/token", "cache": {{"ttl": "1m"}}{more}
            }}}}]}}"#
        )
    };
    let exchange = |credential: &str, asks: usize| {
        let case = format!(
            r#"
            [[case]]
            name = "a"
            config = ""
            request.headers = [["authorization", "Bearer {credential}"]]
            callout = [{}]
            [case.expect]
            status = 200
            upstream.headers = [["x-auth-jwt", "token"]]
            "#,
            [r#"{ answer = { body = "token" } }"#].repeat(asks).join(", ")
        );
        corpus::parse("instances", &case).unwrap().remove(0)
    };
    let slots = Cell::new(Slots::new());
    let mut instances = 0;
    let mut send = |config: &str, credential: &str, asks: usize| {
        instances += 1;
        let policy = Policy::load(config.as_bytes(), HashKey::new([instances; 16])).unwrap();
        let case = exchange(credential, asks);
        let Plan::Exchange(exchange) = &case.plan else { unreachable!("it has an `expect`") };
        let world = world(&policy, slots.take());
        let seen = testing::run_in(&policy, exchange, &world);
        slots.set(world.slots.take().unwrap_or_default());
        assert_eq!(corpus::verdicts(&case, &seen), [], "instance {instances}");
        let count = |name| seen.counters[&format!("token_exchange.{name}")];
        let (hits, misses) = (count("hits"), count("misses"));
        assert_eq!((hits, misses), (1 - asks as u64, asks as u64), "instance {instances}");
    };
    let plain = config("");
    send(&plain, "mine", 1);
    send(&plain, "mine", 0);
    send(&plain, "mine", 0);
    send(&plain, "another", 1);
    send(&config(r#", "path": "/other""#).replacen(r#""path": "/token","#, "", 1), "mine", 1);
    send(&config(r#", "token": "body""#), "mine", 0);
    send(&config(r#", "token": "body", "headers": [{"name": "x-a", "value": "b"}]"#), "mine", 1);
}

fn world(policy: &Policy<NoFurther>, slots: Slots) -> Rc<World> {
    let world = World::of(policy);
    world.slots.replace(Some(slots));
    Rc::new(world)
}

/// Other engines see errors as text; here they can be counted.
#[test]
fn a_refusal_names_no_other_paths_than_the_case_does() {
    for case in cases() {
        let Plan::Refusal(refusal) = &case.plan else { continue };
        let errors = Policy::<NoFurther>::load(case.config.as_bytes(), HashKey::new([7; 16]));
        let errors = errors.expect_err(&case.title());
        let named: BTreeSet<&str> = errors.iter().map(|error| error.pointer()).collect();
        let expected: BTreeSet<&str> = refusal.paths.iter().map(String::as_str).collect();
        assert_eq!(named, expected, "{}:\n{errors}", case.title());
        assert_eq!(errors.iter().count(), named.len(), "{}: a path twice:\n{errors}", case.title());
    }
}

/// On a real Envoy counters of wasm arrive late: what a case leaves out would be taken for a count
/// of the next one.
#[test]
fn a_case_that_names_counters_names_all_that_grow() {
    let mut wrong = Vec::new();
    for case in cases() {
        let Plan::Exchange(exchange) = &case.plan else { continue };
        let policy = Policy::<NoFurther>::load(case.config.as_bytes(), HashKey::new([7; 16]));
        let mut seen = testing::run(&policy.unwrap(), exchange).counters;
        seen.retain(|name, count| *count > 0 && !exchange.expect.counters.contains_key(name));
        if !exchange.expect.counters.is_empty() && !seen.is_empty() {
            wrong.push(format!("{}: {seen:?}", case.title()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
