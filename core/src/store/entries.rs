//! Answers that are remembered: bounded in number and in bytes, the least recently used go first.

use core::mem::size_of;

use lru::LruCache;

use super::key::{Key, Placement};
use super::{Life, Refused, Verdict};
use crate::fields::Field;
use crate::host::UnixTime;

/// Milliseconds that a clock may go back before what it has stored counts as not there. Clocks are
/// set right by less than that every day.
pub(super) const CLOCK_SLACK_MS: u64 = 60_000;

/// Milliseconds before a token that is fresh still is asked for anew again, after that came to
/// nothing: a service in trouble is not asked with every request.
const PUT_OFF_MS: u64 = 1_000;

/// What refusals have of the room, as a divisor: a flood of them cannot push out tokens.
const REFUSED_SHARE: usize = 8;

/// Tokens and refusals, each with room of their own. A key has one answer at most.
pub(super) struct Entries {
    granted: Share,
    refused: Share,
}

/// A fresh answer.
pub(super) struct Found {
    pub(super) verdict: Verdict,
    /// It is time to ask anew.
    pub(super) refresh: bool,
}

struct Share {
    entries: LruCache<Key, Entry, Placement>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

struct Entry {
    verdict: Verdict,
    life: Life,
    stored: UnixTime,
    bytes: usize,
}

impl Entries {
    /// An eighth of the room is for refusals, and one of either kind fits in any case, unless there
    /// is no room at all.
    pub(super) fn new(entries: usize, bytes: usize) -> Self {
        let least = entries.min(1);
        let refused = (entries / REFUSED_SHARE).max(least);
        let refused_bytes = bytes / REFUSED_SHARE;
        Self {
            granted: Share::new(
                entries.saturating_sub(refused).max(least),
                bytes.saturating_sub(refused_bytes),
            ),
            refused: Share::new(refused, refused_bytes),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.granted.entries.len().saturating_add(self.refused.entries.len())
    }

    /// The fresh answer to `key`; used, now.
    pub(super) fn fresh(&mut self, key: Key, now: UnixTime) -> Option<Found> {
        let entry = match self.granted.living(key, now) {
            Some(entry) => entry,
            None => self.refused.living(key, now)?,
        };
        let refresh = entry.life.refresh_from <= now;
        (now < entry.life.fresh_until).then(|| Found { verdict: entry.verdict.clone(), refresh })
    }

    /// The token for `key` that serves in place of none at all, and whether it is an old one.
    pub(super) fn spare(&mut self, key: Key, now: UnixTime) -> Option<(Verdict, bool)> {
        let entry = self.granted.living(key, now)?;
        Some((entry.verdict.clone(), entry.life.fresh_until <= now))
    }

    /// Asking anew came to nothing: not at once again.
    pub(super) fn put_off(&mut self, key: Key, now: UnixTime) {
        if let Some(entry) = self.granted.living(key, now) {
            entry.life.refresh_from = entry.life.refresh_from.max(now.after(PUT_OFF_MS));
        }
    }

    /// Puts an answer in place of the one there is; how many others had to go.
    pub(super) fn store(&mut self, key: Key, verdict: Verdict, life: Life, now: UnixTime) -> u64 {
        self.remove(key);
        let share = match verdict {
            Verdict::Granted(_) => &mut self.granted,
            Verdict::Refused(_) => &mut self.refused,
            Verdict::Unavailable | Verdict::Unusable => return 0,
        };
        let bytes = Entry::OVERHEAD.saturating_add(content(&verdict));
        let entry = Entry { verdict, life, stored: now, bytes };
        if entry.is_over(now) { 0 } else { share.insert(key, entry) }
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.granted.remove(key);
        self.refused.remove(key);
    }
}

impl Share {
    fn new(max_entries: usize, max_bytes: usize) -> Self {
        let entries = LruCache::unbounded_with_hasher(Placement::default());
        Self { entries, bytes: 0, max_entries, max_bytes }
    }

    /// The answer to `key`, used now; one that is over goes.
    fn living(&mut self, key: Key, now: UnixTime) -> Option<&mut Entry> {
        if self.entries.peek(&key)?.is_over(now) {
            self.remove(key);
            return None;
        }
        self.entries.get_mut(&key)
    }

    /// What alone is larger than the share is not stored.
    fn insert(&mut self, key: Key, entry: Entry) -> u64 {
        if entry.bytes > self.max_bytes || self.max_entries == 0 {
            return 0;
        }
        self.bytes = self.bytes.saturating_add(entry.bytes);
        if let Some(before) = self.entries.put(key, entry) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
        let mut evicted = 0_u64;
        while self.bytes > self.max_bytes || self.entries.len() > self.max_entries {
            let Some((_, oldest)) = self.entries.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            evicted = evicted.saturating_add(1);
        }
        evicted
    }

    fn remove(&mut self, key: Key) {
        if let Some(entry) = self.entries.pop(&key) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

impl Entry {
    /// Bytes that an entry takes without its content: key, links and allocation, and the pointer to
    /// it in a table that is half empty at worst.
    const OVERHEAD: usize = size_of::<(Key, Self)>() + 6 * size_of::<usize>() + 16;

    /// Whether it is of no use any more, or from a time that is yet to come: then the clock went back
    /// and nobody knows how old it is.
    fn is_over(&self, now: UnixTime) -> bool {
        self.life.fresh_until.max(self.life.stale_until) <= now
            || self.stored.since(now) > CLOCK_SLACK_MS
    }
}

/// Bytes of what a verdict refers to.
fn content(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Granted(token) => token.len(),
        Verdict::Refused(refused) => {
            let field = |field: &Field| {
                let text =
                    field.name().as_bytes().len().saturating_add(field.value().as_bytes().len());
                text.saturating_add(size_of::<Field>())
            };
            let fields = refused.fields.iter().map(field).fold(0, usize::saturating_add);
            size_of::<Refused>().saturating_add(fields).saturating_add(refused.body.len())
        }
        Verdict::Unavailable | Verdict::Unusable => 0,
    }
}

#[cfg(test)]
impl Entries {
    /// Entries and bytes of tokens, then of refusals.
    pub(super) fn counts(&self) -> [(usize, usize); 2] {
        [&self.granted, &self.refused].map(|share| (share.entries.len(), share.bytes))
    }

    /// The same, as they may be at most.
    pub(super) fn limits(&self) -> [(usize, usize); 2] {
        [&self.granted, &self.refused].map(|share| (share.max_entries, share.max_bytes))
    }

    /// What an answer counts as.
    pub(super) fn size(verdict: &Verdict) -> usize {
        Entry::OVERHEAD + content(verdict)
    }
}
