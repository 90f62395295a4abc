//! The list of pairs that proxy-wasm hands over: all of it is read, or none.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[rustfmt::skip]
#[path = "../../../wasm-target/src/pairs.rs"]
mod pairs;

use pairs::Pairs;

type Owned = Vec<(Vec<u8>, Vec<u8>)>;

fuzz_target!(|bytes: &[u8]| {
    let parsed = Pairs::parse(bytes);
    let expected = naive(bytes);
    assert_eq!(parsed.is_ok(), expected.is_some());
    let (Ok(parsed), Some(expected)) = (parsed, expected) else { return };
    assert_eq!(owned(&parsed), expected);
    assert_eq!((parsed.len(), parsed.is_empty()), (expected.len(), expected.is_empty()));
    for (name, _) in &expected {
        let values = expected.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_slice());
        assert!(parsed.values(name).eq(values));
    }
    assert_eq!(parsed.values(b"\0absent\0").next(), None);
    let mut written = Vec::new();
    match pairs::write(parsed.iter(), &mut written) {
        Ok(()) => assert_eq!(owned(&Pairs::parse(&written).unwrap()), expected),
        Err(_) => assert!(parsed.len() > pairs::MAX_PAIRS || bytes.len() > pairs::MAX_BYTES),
    }
});

fn owned(pairs: &Pairs<'_>) -> Owned {
    pairs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// Index by index.
fn naive(bytes: &[u8]) -> Option<Owned> {
    if bytes.is_empty() {
        return Some(Owned::new());
    }
    let number =
        |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let count = number(0)?;
    let mut at = 4 + 8_usize.checked_mul(count)?;
    bytes.get(..at)?;
    let mut pairs = Owned::new();
    for pair in 0..count {
        let mut text = |length: usize| {
            let text = bytes.get(at..at.checked_add(length)?)?;
            bytes.get(at + length)?;
            at += length + 1;
            Some(text.to_vec())
        };
        pairs.push((text(number(4 + 8 * pair)?)?, text(number(8 + 8 * pair)?)?));
    }
    (at == bytes.len()).then_some(pairs)
}
