use alloc::collections::BTreeMap;
use alloc::format;

use super::statuses::Statuses;
use super::types::{Types, uri};
use crate::config::HashKey;
use crate::policy::Policy;

#[test]
fn a_set_of_statuses_has_its_ends_and_no_others() {
    for (first, last) in [(400, 400), (400, 599), (527, 528), (511, 530), (599, 599)] {
        let range = Statuses::range(first, last);
        for status in 0..=u16::MAX {
            assert_eq!(range.have(status), (first..=last).contains(&status), "{status}");
        }
    }
    assert_eq!(Statuses::range(400, 599).have(599), Statuses::ALL.have(599));
    assert!(!Statuses::ALL.have(399) && !Statuses::ALL.have(600));
    assert!(!Statuses::range(599, 400).have(500));
}

#[test]
fn a_type_of_its_own_comes_before_the_default() {
    let types = Types::with(BTreeMap::from([(404, "urn:x".into())]));
    assert_eq!(types.of(404), "urn:x");
    assert_eq!(types.of(405), "https://datatracker.ietf.org/html/rfc9110#section-15.5.6");
}

#[test]
fn uris_have_no_blanks_and_no_quotes() {
    for text in ["urn:x", "/problems/404", "https://a.example/x?y=%20#z", "about:blank", "404"] {
        assert!(uri(text).is_some(), "{text}");
    }
    for text in ["", " ", "a b", "\"x\"", "<urn:x>", "caf\u{e9}", "a\n", "{x}", "a\\b", "a|b"] {
        assert!(uri(text).is_none(), "{text:?}");
    }
}

#[test]
fn statuses_are_written_in_several_ways() {
    for statuses in
        ["404", "\"404\"", "\"400-499\"", "[404]", "[503, \"404-404\"]", "404.0", "\" 404 - 599 \""]
    {
        let config = format!(r#"{{"filters": [{{"problem_json": {{"statuses": {statuses}}}}}]}}"#);
        let policy = Policy::<crate::NoFurther>::load(config.as_bytes(), HashKey::new([0; 16]));
        assert!(policy.is_ok(), "{statuses}");
    }
}
