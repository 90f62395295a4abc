use std::collections::BTreeSet;

use super::*;
use crate::abi::fakes::{self, SharedData};

const PARTS: [&[u8]; 3] = [b"token_exchange", b"fingerprint", b"Bearer abc"];

/// A fresh host, and what its plug-ins share.
fn host() -> SharedData {
    fakes::reset();
    fakes::with(|host| host.create_root(1).tick_milliseconds);
    fakes::with(|host| host.shared_data.clone())
}

fn found(slot: &Slot) -> Option<Vec<u8>> {
    let event = Event::begin();
    recall(&event, slot)
}

fn copy(slot: &Slot) -> Slot {
    Slot { index: slot.index, key: slot.key }
}

/// The one value that is there.
fn sealed(data: &SharedData) -> Vec<u8> {
    let values = data.values();
    assert_eq!(values.len(), 1);
    values.into_values().next().unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "much cryptography, and no unsafe code of ours")]
fn what_was_left_is_found_by_the_same_parts() {
    let data = host();
    let slot = slot(&PARTS).unwrap();
    assert_eq!(found(&slot), None);
    for value in [&b"token"[..], b"", &[7; MAX_VALUE_BYTES]] {
        leave(&slot, value);
        assert_eq!(found(&super::slot(&PARTS).unwrap()).as_deref(), Some(value));
    }
    leave(&slot, b"one");
    let first = sealed(&data);
    leave(&slot, b"one");
    assert_ne!(first, sealed(&data), "no nonce comes twice");
    assert!(!first.windows(3).any(|part| part == b"one"));
}

#[test]
#[cfg_attr(miri, ignore = "much cryptography, and no unsafe code of ours")]
fn other_parts_are_another_key() {
    let lists: [&[&[u8]]; 7] = [
        &PARTS,
        &[b"token_exchange", b"fingerprint", b"Bearer abd"],
        &[b"token_exchange", b"fingerprin", b"tBearer abc"],
        &[b"token_exchange", b"fingerprint", b"Bearer abc", b""],
        &[b"token_exchangefingerprintBearer abc"],
        &[b""],
        &[],
    ];
    let keys: BTreeSet<_> = lists.iter().map(|parts| slot(parts).unwrap().key).collect();
    assert_eq!(keys.len(), lists.len());
    let indices: BTreeSet<_> =
        (0..5_000_u32).map(|n| slot(&[&n.to_le_bytes()]).unwrap().index).collect();
    assert!(indices.iter().all(|index| *index < SLOTS));
    assert!(indices.len() > 900, "they are spread: {}", indices.len());
}

#[test]
fn another_key_does_not_open_it() {
    host();
    let own = slot(&PARTS).unwrap();
    leave(&own, b"token");
    let theirs = Slot { key: slot(&[b"other"]).unwrap().key, ..copy(&own) };
    assert_eq!(found(&theirs), None);
    // Nor does what they put there mean anything to us: two callers may meet in one slot.
    leave(&theirs, b"theirs");
    assert_eq!((found(&own), found(&theirs)), (None, Some(b"theirs".to_vec())));
    leave(&own, b"mine");
    assert_eq!((found(&own), found(&theirs)), (Some(b"mine".to_vec()), None));
}

#[test]
fn moved_to_another_slot_it_does_not_open() {
    let data = host();
    let own = slot(&PARTS).unwrap();
    leave(&own, b"token");
    let moved = Slot { index: (own.index + 1) % SLOTS, ..copy(&own) };
    data.put(name(&moved).as_bytes(), &sealed(&data));
    assert_eq!(found(&moved), None);
    assert!(found(&own).is_some());
}

#[test]
#[cfg_attr(miri, ignore = "much cryptography, and no unsafe code of ours")]
fn cut_changed_or_forged_it_does_not_open() {
    let data = host();
    let own = slot(&PARTS).unwrap();
    leave(&own, b"token");
    let whole = sealed(&data);
    let key = name(&own);
    for length in 0..whole.len() {
        data.put(key.as_bytes(), &whole[..length]);
        assert_eq!(found(&own), None, "cut to {length}");
    }
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        data.put(key.as_bytes(), &changed);
        assert_eq!(found(&own), None, "changed at {place}");
    }
    let longer = [&whole[..], b"\0"].concat();
    for forged in [&longer[..], &[0; 100], &[VERSION; 64], b"", &[1; 1 << 20]] {
        data.put(key.as_bytes(), forged);
        assert_eq!(found(&own), None);
    }
    data.put(key.as_bytes(), &whole);
    assert_eq!(found(&own).as_deref(), Some(&b"token"[..]));
}

#[test]
fn what_is_too_long_is_not_left() {
    let data = host();
    leave(&slot(&PARTS).unwrap(), &[0; MAX_VALUE_BYTES + 1]);
    assert!(data.values().is_empty());
}

#[test]
fn a_host_without_shared_data_is_as_one_with_nothing_in_it() {
    for call in ["proxy_get_shared_data", "proxy_set_shared_data"] {
        let data = host();
        fakes::with(|host| host.refused.insert(call, 10));
        let own = slot(&PARTS).unwrap();
        leave(&own, b"token");
        assert_eq!(found(&own), None);
        assert_eq!(data.values().is_empty(), call == "proxy_set_shared_data");
    }
}

#[test]
fn nothing_of_the_parts_is_stored() {
    let data = host();
    let secret = b"Bearer some-long-and-secret-credential";
    leave(&slot(&[b"token_exchange", secret]).unwrap(), b"a token that is secret as well");
    for (key, value) in data.values() {
        for part in [&secret[7..15], b"a token "] {
            assert!(![&key, &value].iter().any(|bytes| bytes.windows(8).any(|w| w == part)));
        }
    }
}
