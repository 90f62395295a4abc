//! Users and passwords under a keyed hash.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::hash::Hasher;

use hashbrown::HashTable;
use sha1::{Digest, Sha1};
use siphasher::sip128::{Hasher128, SipHasher24};
use subtle::ConstantTimeEq;

use crate::config::HashKey;
use crate::syntax::authorization::Credential;
use crate::syntax::password_hash::{StoredCredential, StoredPassword};

/// Credentials, each with the rules that list it. Holds no password: a key is SipHash-2-4-128 of
/// user and password, under a random key.
///
/// A look-up does the same work whether or not the user exists and however many credentials there
/// are: one hash, one probe; one SHA-1 and one of each more where any credential is stored as SHA-1.
pub(crate) struct Credentials {
    key: [u8; 16],
    table: HashTable<Entry>,
    any_sha1: bool,
}

struct Entry {
    key: [u8; 16],
    /// Sorted.
    rules: Box<[usize]>,
}

/// What a look-up found: the rules that list the credential.
pub(crate) struct Listed<'a>([&'a [usize]; 2]);

impl Listed<'_> {
    pub(crate) fn by(&self, rule: usize) -> bool {
        self.0.iter().any(|rules| rules.binary_search(&rule).is_ok())
    }
}

impl Credentials {
    /// From each rule's credentials.
    pub(crate) fn new<'c>(
        key: HashKey,
        credentials: impl Iterator<Item = (usize, &'c StoredCredential)>,
    ) -> Self {
        let mut any_sha1 = false;
        let mut listed: BTreeMap<[u8; 16], Vec<usize>> = BTreeMap::new();
        for (rule, StoredCredential { user, password }) in credentials {
            let entry = match password {
                StoredPassword::Plain(password) => plain_key(&key.0, user.as_bytes(), password.as_bytes()),
                StoredPassword::Sha1(digest) => {
                    any_sha1 = true;
                    sha1_key(&key.0, user.as_bytes(), digest)
                }
            };
            listed.entry(entry).or_default().push(rule);
        }
        let mut table = HashTable::with_capacity(listed.len());
        for (key, mut rules) in listed {
            rules.sort_unstable();
            rules.dedup();
            table.insert_unique(place(&key), Entry { key, rules: rules.into() }, |entry| place(&entry.key));
        }
        Self { key: key.0, table, any_sha1 }
    }

    pub(crate) fn look_up(&self, credential: &Credential<'_>) -> Listed<'_> {
        let plain = self.find(&plain_key(&self.key, credential.user, credential.password));
        let hashed = if self.any_sha1 {
            let digest: [u8; 20] = Sha1::digest(credential.password).into();
            self.find(&sha1_key(&self.key, credential.user, &digest))
        } else {
            &[]
        };
        Listed([plain, hashed])
    }

    fn find(&self, key: &[u8; 16]) -> &[usize] {
        let entry = self.table.find(place(key), |entry| entry.key.ct_eq(key).into());
        entry.map_or(&[], |entry| &entry.rules)
    }
}

impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Credentials({} entries)", self.table.len())
    }
}

const PLAIN: u8 = 0;
const SHA1: u8 = 1;

fn plain_key(key: &[u8; 16], user: &[u8], password: &[u8]) -> [u8; 16] {
    hash(key, PLAIN, user, password)
}

fn sha1_key(key: &[u8; 16], user: &[u8], digest: &[u8; 20]) -> [u8; 16] {
    hash(key, SHA1, user, digest)
}

fn hash(key: &[u8; 16], kind: u8, user: &[u8], password: &[u8]) -> [u8; 16] {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(user);
    // A user has no colon (RFC 7617 section 2), so the boundary is the first one.
    hasher.write(b":");
    hasher.write(password);
    hasher.write_u8(kind);
    hasher.finish128().as_bytes()
}

/// Where in the table a key belongs: the first half of it, which is as random as the whole.
fn place(key: &[u8; 16]) -> u64 {
    key.first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}
