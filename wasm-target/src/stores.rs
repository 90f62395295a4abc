//! The stores of a VM: those filters share one that ask the same.

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};

use pintle_core::store::{Limits, Shard, StoreSpec};

/// What wakes a stream: its context id, which no other stream of the VM ever has.
pub(crate) type Waker = u32;

/// Every store that a configuration of the VM uses.
#[derive(Debug, Default)]
pub(crate) struct Stores(RefCell<Vec<Weak<Store>>>);

/// A store, for as long as a configuration uses it.
pub(crate) struct Store {
    spec: StoreSpec,
    shards: Vec<RefCell<Shard<Waker>>>,
}

impl Stores {
    /// The stores that a policy asks for: the ones of before where it asks for the same, so that an
    /// update of another filter loses no answers.
    pub(crate) fn of(&self, specs: &[StoreSpec]) -> Vec<Rc<Store>> {
        let mut stores = self.0.borrow_mut();
        stores.retain(|store| store.strong_count() > 0);
        let mut find = |spec: &StoreSpec| {
            let known = stores.iter().filter_map(Weak::upgrade).find(|store| store.spec == *spec);
            known.unwrap_or_else(|| {
                let store = Rc::new(Store::new(spec));
                stores.push(Rc::downgrade(&store));
                store
            })
        };
        specs.iter().map(&mut find).collect()
    }
}

impl Store {
    fn new(spec: &StoreSpec) -> Self {
        let shards = (0..spec.shards()).map(|_| RefCell::new(spec.shard())).collect();
        Self { spec: spec.clone(), shards }
    }

    /// Lends the shard that holds what `hash` leads to.
    pub(crate) fn lend<R>(&self, hash: u64, work: impl FnOnce(&mut Shard<Waker>) -> R) -> R {
        let place = hash.checked_rem(self.shards.len() as u64).unwrap_or_default();
        let shard = usize::try_from(place).ok().and_then(|place| self.shards.get(place));
        match shard.and_then(|shard| shard.try_borrow_mut().ok()) {
            Some(mut shard) => work(&mut shard),
            None => lend_nothing(work),
        }
    }
}

/// Lends an empty shard, to whom no store belongs: what is put there is lost.
pub(crate) fn lend_nothing<R>(work: impl FnOnce(&mut Shard<Waker>) -> R) -> R {
    let limits = Limits { entries: 0, bytes: 0, waiters: 0 };
    work(&mut StoreSpec { filter: String::new(), fingerprint: [0; 32], limits }.shard())
}

/// What is in it are secrets.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} shards)", self.shards.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fingerprint: u8, entries: usize) -> StoreSpec {
        let limits = Limits { entries, bytes: 1 << 20, waiters: 10 };
        StoreSpec { filter: String::new(), fingerprint: [fingerprint; 32], limits }
    }

    #[test]
    fn the_same_question_is_the_same_store_while_somebody_uses_it() {
        let stores = Stores::default();
        let first = stores.of(&[spec(1, 10), spec(2, 10)]);
        let second = stores.of(&[spec(2, 10), spec(1, 11)]);
        assert!(Rc::ptr_eq(&first[1], &second[0]));
        assert!(!Rc::ptr_eq(&first[0], &second[1]), "other limits");
        let gone = Rc::downgrade(&first[0]);
        drop(first);
        assert!(gone.upgrade().is_none(), "nobody uses it any more");
        assert!(Rc::ptr_eq(&second[0], &stores.of(&[spec(2, 10)])[0]));
        drop(second);
        assert_eq!(stores.of(&[]).len(), 0);
        assert_eq!(stores.0.borrow().len(), 0);
    }

    #[test]
    fn every_hash_leads_somewhere() {
        let store = Store::new(&spec(1, 10));
        for hash in [0, 1, u64::from(u32::MAX) + 1, u64::MAX] {
            assert_eq!(store.lend(hash, |_| hash), hash);
        }
        // A shard that is lent is lent to nobody else.
        store.lend(0, |outer| {
            let outer = std::ptr::from_mut(outer);
            store.lend(0, |inner| assert_ne!(outer, std::ptr::from_mut(inner)));
        });
    }
}
