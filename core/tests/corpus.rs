//! The corpus on the in-memory host.

use pintle_core::config::HashKey;
use pintle_core::testing::corpus::{self, Engine, Plan};
use pintle_core::{NoFurther, Policy, testing};

#[test]
fn every_case() {
    let cases = corpus::load_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata")).unwrap();
    let mut wrong = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(|case| case.engines.contains(&Engine::Memory)) {
        let policy = Policy::<NoFurther>::load(case.config.as_bytes(), HashKey::new([7; 16]));
        let mismatches = match (&case.plan, policy) {
            (Plan::Exchange(exchange), Ok(policy)) => {
                corpus::verdicts(case, &testing::run(&policy, exchange))
            }
            (Plan::Exchange(_), Err(errors)) => panic!("{}: refused: {errors}", case.title()),
            (Plan::Refusal(_), policy) => {
                corpus::refusals(case, policy.err().map(|errors| errors.to_string()).as_deref())
            }
        };
        wrong.extend(mismatches.iter().map(|mismatch| format!("{}: {mismatch}", case.title())));
        ran += 1;
    }
    assert!(wrong.is_empty(), "{} of {ran} cases:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 0);
}
