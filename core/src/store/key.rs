//! What answers are found by.

use core::hash::{BuildHasherDefault, Hasher};

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::config::HashKey;

/// What an answer is found by: a keyed hash of all that was asked with, compared in full.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub(crate) u128);

impl Key {
    /// The key of a question with these parts, SipHash-2-4-128 of them. Each counts with its length,
    /// so no two lists of parts read alike.
    pub fn of<'p>(hash_key: HashKey, parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut hasher = SipHasher24::new_with_key(&hash_key.0);
        for part in parts {
            // No platform has longer lengths.
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        Self(hasher.finish128().as_u128())
    }

    /// The key of a question that consists of this part alone, for a hash key that no question of
    /// several parts has.
    pub fn of_one(hash_key: HashKey, part: &[u8]) -> Self {
        Self(SipHasher24::new_with_key(&hash_key.0).hash(part).as_u128())
    }

    /// A hash key that these parts, under the key they were hashed with, and no others lead to.
    pub const fn into_hash_key(self) -> HashKey {
        HashKey(self.0.to_le_bytes())
    }

    /// What [`Host::shared`](crate::Host::shared) finds the shard by.
    pub const fn hash(self) -> u64 {
        // The cut is what is wanted.
        self.0 as u64
    }
}

/// Where a key belongs in a table: a hash already, it is not hashed again.
pub(super) type Placement = BuildHasherDefault<Place>;

/// The half of a key that did not find its shard. The other half has bits that are the same for all
/// keys of a shard, and would crowd a table.
#[derive(Default)]
pub(super) struct Place(u64);

impl Hasher for Place {
    fn write_u128(&mut self, key: u128) {
        // The cut is what is wanted.
        self.0 = (key >> 64) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
