use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;

use bytes::Bytes;

use super::*;
use crate::config::HashKey;
use crate::fields::{Field, FieldName};
use crate::store::entries::Entries;

const ONE: [u8; 16] = [1; 16];

fn key_of(parts: &[&[u8]]) -> Key {
    Key::of(HashKey::new(ONE), parts.iter().copied())
}

#[test]
fn a_key_is_the_hash_of_its_parts_with_their_lengths() {
    use siphasher::sip128::SipHasher24;
    let flat = SipHasher24::new_with_key(&ONE).hash(b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c");
    let key = key_of(&[b"ab", b"c"]);
    assert_eq!(key.0, flat.as_u128());
    assert_eq!(key.hash(), key.0 as u64);
}

#[test]
fn keys_tell_lists_of_parts_and_hash_keys_apart() {
    let lists: &[&[&[u8]]] =
        &[&[], &[b""], &[b"", b""], &[b"abc"], &[b"ab", b"c"], &[b"a", b"bc"], &[b"abc", b""]];
    for (place, list) in lists.iter().enumerate() {
        assert_eq!(key_of(list), key_of(list));
        assert_ne!(key_of(list), Key::of(HashKey::new([2; 16]), list.iter().copied()));
        for other in &lists[place + 1..] {
            assert_ne!(key_of(list), key_of(other));
        }
    }
}

#[test]
fn keys_that_lead_to_one_place_are_compared_in_full() {
    let mut store = store();
    let (a, b) = (Key(7 << 64), Key(7 << 64 | 1));
    put(&mut store, a, 0, token("a"), fresh());
    assert_eq!(known(&mut store, b, 1), None);
    put(&mut store, b, 1, token("b"), fresh());
    assert_eq!(known(&mut store, a, 2), Some((Seen::token("a"), false)));
    assert_eq!(known(&mut store, b, 2), Some((Seen::token("b"), false)));
}

#[test]
fn there_are_as_many_shards_as_are_worth_it() {
    const MIB: usize = 1 << 20;
    for (entries, bytes, shards) in [
        (0, 0, 1),
        (1, 16 * MIB, 1),
        (2_047, 16 * MIB, 1),
        (2_048, 16 * MIB, 2),
        (10_000, 16 * MIB, 8),
        (100_000, 16 * MIB, 16),
        (100_000, 3 * MIB, 2),
        (usize::MAX, usize::MAX, 16),
    ] {
        assert_eq!(spec(entries, bytes, 1).shards(), shards, "{entries} {bytes}");
    }
}

#[test]
fn a_shard_has_its_share_of_the_limits_and_refusals_an_eighth_of_it() {
    let limits = |entries, bytes| spec(entries, bytes, 1).shard::<()>().entries.limits();
    assert_eq!(limits(10_000, 16 << 20), [(1_094, 7 << 18), (156, 1 << 18)]);
    assert_eq!(limits(8, 800), [(7, 700), (1, 100)]);
    assert_eq!(limits(1, 800), [(1, 700), (1, 100)]);
    assert_eq!(limits(0, 0), [(0, 0), (0, 0)]);
}

#[test]
fn an_answer_is_fresh_then_stale_then_gone() {
    let mut store = store();
    let landed = put(&mut store, key(1), 0, token("t"), life(800, 1_000, 5_000));
    assert_eq!((landed.entries, landed.evicted, landed.stale), (1, 0, false));
    assert_eq!(known(&mut store, key(1), 799), Some((Seen::token("t"), false)));
    assert_eq!(known(&mut store, key(1), 800), Some((Seen::token("t"), true)));
    assert_eq!(known(&mut store, key(1), 999), Some((Seen::token("t"), true)));
    assert_eq!(known(&mut store, key(1), 1_000), None);
    assert_eq!(store.entries.len(), 1);
    let ticket = lead(&mut store, key(1), 4_999);
    let landed = store.land(ticket, Verdict::Unavailable, None, at(4_999));
    assert_eq!((Seen::of(&landed.verdict), landed.stale), (Seen::token("t"), true));
    let ticket = lead(&mut store, key(1), 5_000);
    assert_eq!(store.entries.len(), 0);
    let landed = store.land(ticket, Verdict::Unavailable, None, at(5_000));
    assert_eq!((Seen::of(&landed.verdict), landed.stale), (Seen::Unavailable, false));
    assert_eq!(landed.entries, -1);
}

#[test]
fn an_old_token_is_in_place_of_no_answer_not_of_another() {
    for verdict in [refusal(403), refusal(429), Verdict::Unusable] {
        let mut store = store();
        put(&mut store, key(1), 0, token("t"), life(10, 10, 1_000));
        let ticket = lead(&mut store, key(1), 20);
        let waiting = wait(&mut store, key(1), 20, 1);
        let landed = store.land(ticket, verdict.clone(), None, at(30));
        assert_eq!((Seen::of(&landed.verdict), landed.stale), (Seen::of(&verdict), false));
        let got = collect(&mut store, waiting, 30).0;
        assert_eq!(got, Got::Landed(Seen::of(&verdict), false));
    }
}

#[test]
fn an_old_refusal_is_in_place_of_nothing() {
    let mut store = store();
    put(&mut store, key(1), 0, refusal(401), life(10, 10, 1_000));
    let ticket = lead(&mut store, key(1), 20);
    let landed = store.land(ticket, Verdict::Unavailable, None, at(30));
    assert_eq!((Seen::of(&landed.verdict), landed.stale), (Seen::Unavailable, false));
}

#[test]
fn what_has_no_life_or_no_room_is_not_stored() {
    let mut store = spec(8, 8_000, 1).shard();
    let huge = Verdict::Granted(Bytes::from(vec![b'x'; 7_001]));
    for (verdict, life) in [
        (token("t"), None),
        (token("t"), Some(life(0, 0, 0))),
        (refusal(401), None),
        (Verdict::Unavailable, Some(fresh())),
        (Verdict::Unusable, Some(fresh())),
        (huge, Some(fresh())),
    ] {
        let ticket = lead(&mut store, key(1), 1);
        let landed = store.land(ticket, verdict.clone(), life, at(1));
        assert_eq!(Seen::of(&landed.verdict), Seen::of(&verdict));
        assert_eq!((landed.entries, landed.evicted, store.entries.len()), (0, 0, 0));
    }
    put(&mut store, key(2), 1, Verdict::Granted(Bytes::from(vec![b'x'; 6_000])), fresh());
    assert_eq!(store.entries.len(), 1);
    let mut nothing: Store = spec(0, 0, 1).shard();
    put(&mut nothing, key(1), 0, token("t"), fresh());
    assert_eq!(nothing.entries.counts(), [(0, 0), (0, 0)]);
}

#[test]
fn a_key_has_one_answer_the_last() {
    let mut store = store();
    put(&mut store, key(1), 0, token("old"), life(0, 1_000, 1_000));
    for verdict in [token("new"), refusal(401), token("newest")] {
        let Asked::Known { refresh: Some(ticket), .. } = ask(&mut store, key(1), 1, 0) else {
            panic!("nothing to refresh");
        };
        let landed = store.land(ticket, verdict.clone(), Some(life(0, 1_000, 1_000)), at(1));
        assert_eq!(landed.entries, 0);
        assert_eq!(known(&mut store, key(1), 1), Some((Seen::of(&verdict), true)));
        assert_eq!(store.entries.len(), 1);
    }
}

#[test]
fn a_refusal_that_is_not_stored_ends_the_life_of_a_token_if_it_is_about_the_caller() {
    for (status, stays) in [(401, false), (403, false), (404, true), (429, true)] {
        let mut store = store();
        put(&mut store, key(1), 0, token("t"), life(0, 1_000, 1_000));
        let Asked::Known { refresh: Some(ticket), .. } = ask(&mut store, key(1), 1, 0) else {
            panic!("nothing to refresh");
        };
        let landed = store.land(ticket, refusal(status), None, at(1));
        assert_eq!(Seen::of(&landed.verdict), Seen::Refusal(status));
        assert_eq!(known(&mut store, key(1), 2).is_some(), stays, "{status}");
    }
}

#[test]
fn a_clock_that_went_back_more_than_a_minute_knows_nothing() {
    let mut store = store();
    put(&mut store, key(1), 100_000, token("t"), life(200_000, 200_000, 200_000));
    assert!(known(&mut store, key(1), 40_000).is_some());
    assert_eq!(known(&mut store, key(1), 39_999), None);
    assert_eq!(store.entries.len(), 0);
}

#[test]
fn a_clock_that_went_back_strands_nobody_and_gives_nobody_more_time() {
    let mut store = store();
    let gone = lead(&mut store, key(1), 100_000);
    let first = wait(&mut store, key(1), 100_000, 1);
    let _other = wait(&mut store, key(1), 40_000, 2);
    assert_eq!(store.leave(gone, at(40_000)), Some(1));
    let (got, ticket) = collect(&mut store, first, 40_000);
    assert_eq!(got, Got::Lead(TIMEOUT));
    let _lost = ticket;
    assert!(matches!(ask(&mut store, key(1), 0, 3), Asked::Wait(_)));
    assert!(matches!(store.ask(key(1), UnixTime(0), UnixTime(9), || 4), Asked::Lead(_)));
}

#[test]
fn the_least_recently_used_go_first_and_are_counted() {
    let mut store = spec(8, 100_000, 1).shard();
    for number in 0..7 {
        assert_eq!(put(&mut store, key(number), 0, token("t"), fresh()).evicted, 0);
    }
    assert!(known(&mut store, key(0), 1).is_some());
    let landed = put(&mut store, key(7), 1, token("t"), fresh());
    assert_eq!((landed.evicted, landed.entries), (1, 0));
    assert_eq!(known(&mut store, key(1), 1), None);
    assert!(known(&mut store, key(0), 1).is_some());
}

#[test]
fn bytes_are_bounded_too() {
    let small = Entries::size(&token("t"));
    let mut store = spec(100, small * 8, 1).shard();
    for number in 0..7 {
        assert_eq!(put(&mut store, key(number), 0, token("t"), fresh()).evicted, 0);
    }
    assert_eq!(store.entries.counts()[0], (7, small * 7));
    let large = Verdict::Granted(Bytes::from(vec![b'x'; small * 3]));
    let landed = put(&mut store, key(7), 0, large, fresh());
    assert_eq!((landed.evicted, landed.entries), (4, -3));
    assert!(known(&mut store, key(4), 1).is_some());
}

#[test]
fn refusals_count_with_all_that_they_hold() {
    let field = Field::new(FieldName::WWW_AUTHENTICATE.clone(), "Bearer").unwrap();
    let bare = Entries::size(&refusal(401));
    let full = Verdict::Refused(Arc::new(Refused {
        denial: Denial::WrongCredentials,
        status: 401,
        fields: Box::new([field]),
        body: Bytes::from_static(b"no"),
    }));
    let text = "www-authenticate".len() + "Bearer".len() + "no".len();
    assert_eq!(Entries::size(&full), bare + text + size_of::<Field>());
}

#[test]
fn a_flood_of_refusals_pushes_out_no_token() {
    let mut store = spec(80, 100_000, 1).shard();
    for number in 0..70 {
        put(&mut store, key(number), 0, token("t"), fresh());
    }
    for number in 1_000..2_000 {
        put(&mut store, key(number), 0, refusal(401), fresh());
    }
    assert_eq!(store.entries.counts().map(|(entries, _)| entries), [70, 10]);
    for number in 0..70 {
        assert!(known(&mut store, key(number), 1).is_some());
    }
    assert_eq!(known(&mut store, key(1_999), 1), Some((Seen::Refusal(401), false)));
}

#[test]
fn only_counts_are_shown() {
    let mut store = store();
    put(&mut store, key(1), 0, token("secret"), fresh());
    let ticket = lead(&mut store, key(2), 0);
    let waiting = wait(&mut store, key(2), 0, 1);
    let shown = "Shard { entries: 1, flights: 1, landed: 0, waiting: 1 }";
    assert_eq!(format!("{store:?}"), shown);
    let asked = ask(&mut store, key(1), 0, 1);
    assert_eq!(format!("{asked:?}"), "Known { verdict: Granted(6 bytes), refresh: None }");
    let landed = store.land(ticket, token("secret"), None, at(0));
    assert!(!format!("{landed:?}").contains("secret"));
    assert!(!format!("{:?}", store.collect(waiting, at(0), || 0)).contains("secret"));
    assert_eq!(format!("{:?}", key(3)), "Key(..)");
}

#[test]
fn a_shard_may_go_from_thread_to_thread() {
    fn is_send<T: Send>() {}
    is_send::<Shard<usize>>();
}
