//! Stores: one for the process for each fingerprint and size, so that all workers, listeners and
//! updates of a configuration share it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pintle_core::store::{Limits, Shard, StoreId, StoreSpec};

use crate::waker::Waker;

/// Those of one configuration, in the order of the policy's list.
#[derive(Debug)]
pub(crate) struct Stores(Box<[Arc<Store>]>);

/// One store, in parts that are lent one at a time.
struct Store {
    spec: StoreSpec,
    shards: Box<[Mutex<Shard<Waker>>]>,
}

/// All that are in use.
static OPEN: Mutex<Vec<Weak<Store>>> = Mutex::new(Vec::new());

impl Stores {
    /// Opens a store for each specification; those that are open already are shared.
    pub(crate) fn open(specs: &[StoreSpec]) -> Self {
        Self(specs.iter().map(open).collect())
    }

    /// Lends the part of a store that `hash` leads to.
    pub(crate) fn lend<R>(
        &self,
        store: StoreId,
        hash: u64,
        work: impl FnOnce(&mut Shard<Waker>) -> R,
    ) -> R {
        match self.0.get(store.index()).and_then(|store| store.shard(hash)) {
            Some(mut shard) => work(&mut shard),
            // A filter that asked for none: what it does with one that nobody else sees does no harm.
            None => work(&mut nowhere().shard()),
        }
    }

    /// Wakes all who wait, to see for themselves: what they wait for may have been lost in a panic. What
    /// is known stays.
    #[cold]
    pub(crate) fn disband(&self) {
        for store in &self.0 {
            for shard in &store.shards {
                // A waker that is dropped wakes.
                drop(lock(shard).disband());
            }
        }
    }
}

fn open(spec: &StoreSpec) -> Arc<Store> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|store| store.strong_count() > 0);
    if let Some(store) = open.iter().filter_map(Weak::upgrade).find(|store| store.spec == *spec) {
        return store;
    }
    let shards = (0..spec.shards().max(1)).map(|_| Mutex::new(spec.shard())).collect();
    let store = Arc::new(Store { spec: spec.clone(), shards });
    open.push(Arc::downgrade(&store));
    store
}

const fn nowhere() -> StoreSpec {
    StoreSpec {
        filter: String::new(),
        fingerprint: [0; 32],
        limits: Limits { entries: 0, bytes: 0, waiters: 0 },
    }
}

impl Store {
    fn shard(&self, hash: u64) -> Option<MutexGuard<'_, Shard<Waker>>> {
        let place = hash.checked_rem(self.shards.len() as u64)?;
        let shard = self.shards.get(usize::try_from(place).ok()?)?;
        Some(lock(shard))
    }
}

/// In a shard that a panic has left, all who wait are woken: the flight that it was about may have
/// nobody left to lead it. It is not replaced: a ticket of before must not fit a flight of after.
fn lock(shard: &Mutex<Shard<Waker>>) -> MutexGuard<'_, Shard<Waker>> {
    shard.lock().unwrap_or_else(|poisoned| {
        let mut guard = poisoned.into_inner();
        shard.clear_poison();
        drop(guard.disband());
        guard
    })
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} shards)", self.shards.len())
    }
}

#[cfg(test)]
mod tests {
    use pintle_core::UnixTime;
    use pintle_core::config::HashKey;
    use pintle_core::store::{Asked, Key};

    use super::*;

    const NOW: UnixTime = UnixTime(1_000);

    fn spec(name: u8) -> StoreSpec {
        let limits = Limits { entries: 100_000, bytes: 1 << 26, waiters: 4 };
        StoreSpec { filter: String::new(), fingerprint: [name; 32], limits }
    }

    fn ask(stores: &Stores, index: usize, part: &[u8]) -> Asked {
        let key = Key::of(HashKey::new([1; 16]), [part]);
        let store = stores.0.get(index).and_then(|store| store.shard(key.hash()));
        store.expect("a shard").ask(key, NOW, NOW.after(1_000), Waker::of_nobody)
    }

    #[test]
    fn a_store_is_open_once() {
        let one = Stores::open(&[spec(1), spec(2)]);
        let two = Stores::open(&[spec(2), spec(1)]);
        assert!(Arc::ptr_eq(&one.0[0], &two.0[1]) && Arc::ptr_eq(&one.0[1], &two.0[0]));
        assert!(one.0[0].shards.len() > 1, "workers do not wait for each other");
        let mut larger = spec(1);
        larger.limits.entries += 1;
        assert!(!Arc::ptr_eq(&Stores::open(&[larger]).0[0], &one.0[0]));
        let old = Arc::downgrade(&one.0[0]);
        drop((one, two));
        assert!(old.upgrade().is_none());
        assert!(matches!(ask(&Stores::open(&[spec(1)]), 0, b"a"), Asked::Lead(_)));
    }

    #[test]
    fn a_panic_leaves_a_shard_that_can_be_used() {
        let stores = Stores::open(&[spec(3)]);
        assert!(matches!(ask(&stores, 0, b"a"), Asked::Lead(_)));
        assert!(matches!(ask(&stores, 0, b"a"), Asked::Wait(_)));
        let hash = Key::of(HashKey::new([1; 16]), [&b"a"[..]]).hash();
        let panicked = std::thread::scope(|scope| {
            let store = &stores.0[0];
            scope
                .spawn(move || {
                    let _shard = store.shard(hash);
                    panic!("in a shard")
                })
                .join()
        });
        assert!(panicked.is_err());
        // The flight has no leader, and takes the next one who asks.
        assert!(matches!(ask(&stores, 0, b"a"), Asked::Lead(_)));
        assert!(matches!(ask(&stores, 0, b"a"), Asked::Wait(_)));
        stores.disband();
        assert!(matches!(ask(&stores, 0, b"a"), Asked::Lead(_)));
    }
}
