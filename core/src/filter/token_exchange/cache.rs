//! What answers are remembered by, and for how long.

use core::{fmt, iter};

use super::TokenExchange;
use super::left::Left;
use super::life::LifeRules;
use super::question::Question;
use crate::config::HashKey;
use crate::filter::Filter;
use crate::host::{Host, UnixTime};
use crate::store::{Key, Slot, StoreSpec};

pub(super) struct Cache {
    pub(super) spec: StoreSpec,
    /// Of tokens.
    pub(super) life: LifeRules,
    /// Of refusals, where they are remembered at all.
    pub(super) negative: Option<LifeRules>,
    pub(super) hash_key: HashKey,
}

impl Cache {
    /// The key of a request's question.
    pub(super) fn key<H: Host>(&self, question: &Question, credential: &[u8], host: &H) -> Key {
        if question.is_of_one_field() {
            return Key::of_one(self.hash_key, credential);
        }
        Key::of(self.hash_key, iter::once(credential).chain(question.others(host)))
    }

    /// The hash key of a configuration's own: what it asks is told apart by that, once and for all.
    pub(super) fn hash_key(hash_key: HashKey, fingerprint: &[u8]) -> HashKey {
        Key::of(hash_key, [TokenExchange::KIND.as_bytes(), fingerprint]).into_hash_key()
    }

    /// What another instance, or this one, has left for a request's question, and where.
    pub(super) fn recall<H: Host>(
        &self,
        question: &Question,
        max_value_bytes: usize,
        now: UnixTime,
        host: &H,
    ) -> (Option<Slot>, Option<Left>) {
        let Ok(Some(credential)) = question.presented(host) else { return (None, None) };
        let mut parts =
            alloc::vec![TokenExchange::KIND.as_bytes(), &self.spec.fingerprint, credential];
        parts.extend(question.others(host));
        let Some(slot) = host.slot(&parts) else { return (None, None) };
        let left = host.recall(&slot).and_then(Left::read);
        let longest = now.after(self.life.ttl_ms);
        let left = left.filter(|left| {
            let life = left.life;
            (1..=max_value_bytes).contains(&left.value.len())
                && now < life.fresh_until
                && life.fresh_until <= longest
                && life.stale_until.since(life.fresh_until) <= self.life.stale_if_error_ms
        });
        (Some(slot), left)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache({:?})", self.spec.limits)
    }
}
