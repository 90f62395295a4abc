//! What `docs/configuration.md` says holds.

use pintle_core::config::HashKey;
use pintle_core::{Denial, Filter, NoFurther, Policy, filter};

fn text() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))
        .unwrap()
}

#[test]
fn examples_load() {
    let text = text();
    let examples: Vec<&str> = text
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split_once("\n```").expect("an end").0)
        .collect();
    assert!(examples.len() >= 9, "{}", examples.len());
    for example in examples {
        let policy = Policy::<NoFurther>::load(example.as_bytes(), HashKey::new([0; 16]));
        let policy = policy.unwrap_or_else(|errors| panic!("{errors}\n{example}"));
        assert!(!policy.is_inert(), "{example}");
    }
}

#[test]
fn denials_are_all_there() {
    let rows: Vec<String> = text()
        .split_once("| slug | status | filter |\n|---|---|---|\n")
        .expect("the table of denials")
        .1
        .lines()
        .take_while(|line| line.starts_with('|'))
        .map(str::to_string)
        .collect();
    let kind = |denial| {
        if filter::basic_auth::BasicAuth::DENIALS.contains(&denial) {
            return "`basic_auth`".to_string();
        } else if filter::require_header::RequireHeader::DENIALS.contains(&denial) {
            return "`require_header`".to_string();
        }
        "any with a condition on the path".to_string()
    };
    let expected = Denial::ALL.map(|denial| {
        let status = denial.status();
        let status =
            if status == 403 { "403 or `deny.status`".to_string() } else { status.to_string() };
        format!("| `{}` | {status} | {} |", denial.slug(), kind(denial))
    });
    assert_eq!(rows, expected);
}

#[test]
fn every_kind_has_its_section() {
    use pintle_core::__private::FilterSet;
    let text = text();
    for kind in pintle_core::Shipped::KINDS {
        assert!(text.contains(&format!("\n## `{kind}`\n")), "{kind}");
    }
}
