//! The corpus on the in-memory host.

use std::collections::BTreeSet;

use pintle_core::config::HashKey;
use pintle_core::testing::corpus::{self, Case, Engine, Plan};
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
