//! Many keys, at random, against the plainest store there could be: a list, searched from its end.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::store::entries::Entries;

const ROUNDS: usize = if cfg!(miri) { 200 } else { 20_000 };
const KEYS: u64 = 60;

/// Knuth's linear congruential generator (MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Tokens and refusals, the most recently used last.
struct Naive {
    shares: [Vec<Known>; 2],
    limits: [(usize, usize); 2],
}

struct Known {
    key: Key,
    seen: Seen,
    fresh_until: u64,
    stale_until: u64,
    bytes: usize,
}

impl Naive {
    fn drop_what_is_over(&mut self, key: Key, ms: u64) {
        for share in &mut self.shares {
            share.retain(|known| known.key != key || ms < known.stale_until);
        }
    }

    fn use_now(&mut self, key: Key) -> Option<&Known> {
        for share in &mut self.shares {
            if let Some(place) = share.iter().position(|known| known.key == key) {
                let known = share.remove(place);
                share.push(known);
                return share.last();
            }
        }
        None
    }

    fn store(&mut self, known: Known) -> u64 {
        for share in &mut self.shares {
            share.retain(|other| other.key != known.key);
        }
        let kind = usize::from(matches!(known.seen, Seen::Refusal(_)));
        let (entries, bytes) = self.limits[kind];
        let share = &mut self.shares[kind];
        if known.bytes > bytes {
            return 0;
        }
        share.push(known);
        let mut evicted = 0;
        while share.len() > entries || share.iter().map(|known| known.bytes).sum::<usize>() > bytes
        {
            share.remove(0);
            evicted += 1;
        }
        evicted
    }

    fn counts(&self) -> [(usize, usize); 2] {
        [0, 1].map(|kind| {
            let share = &self.shares[kind];
            (share.len(), share.iter().map(|known| known.bytes).sum())
        })
    }
}

#[test]
fn a_store_is_the_plainest_one_only_quicker() {
    let small = Entries::size(&token(""));
    for (seed, entries, bytes) in
        [(1, 24, 1 << 20), (2, 1_000, small * 40), (3, 32, small * 40), (4, 3, small * 12)]
    {
        let mut random = Random(seed);
        let mut store = spec(entries, bytes, 1).shard();
        let mut naive = Naive { shares: [Vec::new(), Vec::new()], limits: store.entries.limits() };
        let (mut ms, mut told, mut evictions) = (0, 0_i64, 0);
        for round in 0..ROUNDS {
            ms += random.below(30);
            let of = key(u128::from(random.below(KEYS)));
            naive.drop_what_is_over(of, ms);
            let expected = naive.use_now(of).filter(|known| ms < known.fresh_until);
            let expected = expected.map(|known| known.seen.clone());
            match ask(&mut store, of, ms, 0) {
                Asked::Known { verdict, refresh: None } => {
                    assert_eq!(Some(Seen::of(&verdict)), expected, "{seed} {round}");
                }
                Asked::Lead(ticket) => {
                    assert_eq!(expected, None, "{seed} {round}");
                    let verdict = match random.below(4) {
                        0 => refusal(u16::try_from(random.below(200)).unwrap() + 400),
                        _ => {
                            let length = random.below(small as u64 * 8);
                            Verdict::Granted(Bytes::from(vec![
                                b'x';
                                usize::try_from(length).unwrap()
                            ]))
                        }
                    };
                    let fresh_until = ms + 1 + random.below(2_000);
                    let stale_until = fresh_until + random.below(1_000);
                    let life = life(u64::MAX - START, fresh_until, stale_until);
                    let landed = store.land(ticket, verdict.clone(), Some(life), at(ms));
                    let bytes = Entries::size(&verdict);
                    let seen = Seen::of(&verdict);
                    let known = Known { key: of, seen, fresh_until, stale_until, bytes };
                    assert_eq!(landed.evicted, naive.store(known), "{seed} {round}");
                    evictions += landed.evicted;
                    told += landed.entries;
                    assert_eq!(told, i64::try_from(store.entries.len()).unwrap());
                }
                other => panic!("{seed} {round}: {other:?}"),
            }
            assert_eq!(store.entries.counts(), naive.counts(), "{seed} {round}");
            for ((entries, bytes), (most, most_bytes)) in
                store.entries.counts().into_iter().zip(store.entries.limits())
            {
                assert!(entries <= most && bytes <= most_bytes, "{seed} {round}");
            }
        }
        assert!(evictions > 0, "{seed}: never full");
        assert_eq!(flights(&store), (0, 0, 0));
    }
}
