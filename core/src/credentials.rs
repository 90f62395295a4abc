//! Users and passwords under a keyed hash.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashbrown::HashTable;
use sha1::{Digest, Sha1};
use siphasher::sip128::SipHasher24;
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
    hasher: SipHasher24,
    table: HashTable<Entry>,
    /// The rules of all entries.
    rules: Box<[usize]>,
    any_sha1: bool,
}

struct Entry {
    key: u128,
    /// Where in `rules` those of this entry stand, sorted.
    from: usize,
    to: usize,
}

/// What a look-up found: the rules that list the credential.
pub(crate) struct Listed<'a>([&'a [usize]; 2]);

impl Listed<'_> {
    pub(crate) fn by(&self, rule: usize) -> bool {
        self.0.iter().any(|rules| rules.binary_search(&rule).is_ok())
    }
}

/// What is hashed: the forms must not be taken for one another.
#[derive(Clone, Copy)]
enum Form {
    /// The base64 text that a client sends for a password in clear.
    Token,
    /// `user:password`
    Plain,
    /// `user:` and the SHA-1 of the password
    Sha1,
}

impl Credentials {
    /// From each rule's credentials.
    pub(crate) fn new<'c>(
        key: HashKey,
        credentials: impl Iterator<Item = (usize, &'c StoredCredential)>,
    ) -> Self {
        let hasher = SipHasher24::new_with_key(&key.0);
        let mut any_sha1 = false;
        let mut listed: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        let mut list = |key, rule| listed.entry(key).or_default().push(rule);
        for (rule, StoredCredential { user, password }) in credentials {
            match password {
                StoredPassword::Plain(password) => {
                    let credential = [user.as_bytes(), b":", password.as_bytes()].concat();
                    list(hash(&hasher, Form::Token, STANDARD.encode(&credential).as_bytes()), rule);
                    list(hash(&hasher, Form::Plain, &credential), rule);
                }
                StoredPassword::Sha1(digest) => {
                    any_sha1 = true;
                    list(hash_sha1(&hasher, user.as_bytes(), digest), rule);
                }
            }
        }
        let mut table = HashTable::with_capacity(listed.len());
        let mut all = Vec::new();
        for (key, mut rules) in listed {
            rules.sort_unstable();
            rules.dedup();
            let from = all.len();
            all.append(&mut rules);
            let entry = Entry { key, from, to: all.len() };
            table.insert_unique(place(key), entry, |entry| place(entry.key));
        }
        Self { hasher, table, rules: all.into(), any_sha1 }
    }

    /// Looks up the base64 of a credential without decoding it: what nearly all requests that are
    /// let in take. `None` says nothing yet.
    pub(crate) fn look_up_token(&self, token: &[u8]) -> Option<Listed<'_>> {
        if self.any_sha1 {
            return None;
        }
        match self.find(hash(&self.hasher, Form::Token, token)) {
            [] => None,
            rules => Some(Listed([rules, &[]])),
        }
    }

    /// Looks up a decoded credential.
    pub(crate) fn look_up(&self, credential: &Credential<'_>) -> Listed<'_> {
        let plain = self.find(hash(&self.hasher, Form::Plain, credential.whole));
        let hashed = if self.any_sha1 {
            let digest: [u8; 20] = Sha1::digest(credential.password).into();
            self.find(hash_sha1(&self.hasher, credential.user, &digest))
        } else {
            &[]
        };
        Listed([plain, hashed])
    }

    fn find(&self, key: u128) -> &[usize] {
        let entry = self.table.find(place(key), |entry| entry.key.ct_eq(&key).into());
        entry.and_then(|entry| self.rules.get(entry.from..entry.to)).unwrap_or_default()
    }
}

impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Credentials({} entries)", self.table.len())
    }
}

/// 128 bits of a keyed hash; the form changes them by a constant of its own.
fn hash(hasher: &SipHasher24, form: Form, bytes: &[u8]) -> u128 {
    hasher.hash(bytes).as_u128() ^ form as u128
}

fn hash_sha1(hasher: &SipHasher24, user: &[u8], digest: &[u8; 20]) -> u128 {
    let user = hasher.hash(user).as_bytes();
    let mut both = [0; 36];
    let (first, second) = both.split_at_mut(user.len());
    first.copy_from_slice(&user);
    second.copy_from_slice(digest);
    hash(hasher, Form::Sha1, &both)
}

/// Where in the table a key belongs: half of it, which is as random as the whole.
const fn place(key: u128) -> u64 {
    // The cut is what is wanted.
    key as u64
}
