//! What tells configurations apart that ask for different things.

use sha2::{Digest, Sha256};

use super::TokenExchange;
use crate::filter::Filter;

/// SHA-256 over parts, each with its length in front of it, so that no two lists of parts read alike.
pub(super) struct Fingerprint(Sha256);

impl Default for Fingerprint {
    fn default() -> Self {
        let mut fingerprint = Self(Sha256::new());
        fingerprint.add(TokenExchange::KIND.as_bytes());
        fingerprint
    }
}

impl Fingerprint {
    pub(super) fn add(&mut self, part: &[u8]) {
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.add(&number.to_be_bytes());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
