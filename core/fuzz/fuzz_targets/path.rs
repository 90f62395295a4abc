//! The forms of a path are what a naive reading of the rules says, and some are normalised.
//!
//! The first byte of the input chooses what becomes of encoded slashes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pintle_core::syntax::path::{EncodedSlash, Forms, is_ordinary, without_query};

#[path = "../naive.rs"]
mod naive;

fuzz_target!(|input: &[u8]| {
    let Some((choice, path)) = input.split_first() else { return };
    let slash = match choice % 3 {
        0 => EncodedSlash::Decode,
        1 => EncodedSlash::Keep,
        _ => EncodedSlash::Reject,
    };
    let raw = without_query(path);
    let expected = naive::forms(raw, slash);
    let forms = forms(path, slash);
    assert_eq!(forms.is_some(), expected.is_some() || is_ordinary(raw));
    let Some(forms) = forms else { return };

    assert_eq!(forms[0], raw);
    for (i, form) in forms.iter().enumerate() {
        assert!(!forms[..i].contains(form), "twice the same form");
        assert!(form.len() <= raw.len(), "a form longer than the path");
        assert!(i == 0 || !form.contains(&0), "a NUL");
    }
    if is_ordinary(raw) {
        assert_eq!(forms.len(), 1);
        assert_normalised(raw, slash);
        // The naive reading makes no other form of it either.
        assert!(expected.is_none_or(|naive| naive.iter().all(|form| form == raw)));
        return;
    }
    let naive = expected.expect("a path that is not ordinary was decoded");
    assert!(naive.iter().all(|form| forms.contains(form)), "a form is missing");
    assert!(forms.iter().all(|form| naive.contains(form)), "a form that nobody reads");
    let decoded = naive::decode(raw, naive::Slashes::most(slash)).expect("it was decoded before");
    for form in &naive::normalised(&decoded) {
        assert!(forms.contains(form), "a normalised form is missing");
        assert_normalised(form, slash);
        // What ends a path as it comes is escaped again, so that it is all seen.
        let again = self::forms(&escape_query(form), slash).expect("a normalised form is valid");
        assert!(again.len() <= 2 && again.last() == Some(form), "normalising again changes it");
    }
});

fn forms(path: &[u8], slash: EncodedSlash) -> Option<Vec<Vec<u8>>> {
    let mut forms = Forms::default();
    forms.compute(path, slash).ok()?;
    Some(forms.iter().map(<[u8]>::to_vec).collect())
}

fn assert_normalised(path: &[u8], slash: EncodedSlash) {
    assert!(!path.contains(&b'\\') && !path.contains(&0));
    assert!(!path.windows(2).any(|pair| pair == b"//"), "slashes in a row");
    assert!(!path.split(|byte| *byte == b'/').any(|s| s == b"." || s == b".."), "dot segments");
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'%') {
        let digits = path.get(at + 1..at + 3).expect("an escape is whole");
        let byte = naive::hex(digits).expect("an escape is of hexadecimal digits");
        let kept = slash == EncodedSlash::Keep && matches!(byte, b'/' | b'\\');
        assert!(
            kept || byte == b'%' || (byte != 0 && byte.is_ascii_control()),
            "an escape that decodes"
        );
        assert!(!digits.iter().any(u8::is_ascii_lowercase));
    }
}

fn escape_query(path: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in path {
        match byte {
            b'?' => escaped.extend(b"%3F"),
            b'#' => escaped.extend(b"%23"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}
