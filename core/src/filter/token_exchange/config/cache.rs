//! How `token_exchange` remembers.

use alloc::string::String;
use core::ops::RangeInclusive;

use serde::Deserialize;

use super::super::cache::Cache;
use super::super::fingerprint::Fingerprint;
use super::super::life::LifeRules;
use super::Time;
use crate::config::{HashKey, Load, Pointer};
use crate::store::{Limits, StoreSpec};

/// How answers are remembered.
#[derive(Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "token_exchange_cache")
)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheFields {
    /// How long a token is of use at most, from when it was asked for: 1 ms to 24 h. What the token
    /// and the answer say themselves may make it shorter.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[0-9]+(ms|s|m|h)$")))]
    ttl: String,
    /// The most answers there are, 1 to 1000000. Default 10000: the callers of a busy service.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = 1_000_000), extend("default" = 10000))
    )]
    max_entries: Option<usize>,
    /// The most memory that answers take, in bytes: 65536 to 268435456, and at least four times
    /// `max_token_bytes`. Default 16777216: `max_entries` tokens of 1.6 KB.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 65_536, max = 268_435_456), extend("default" = 16_777_216))
    )]
    max_bytes: Option<usize>,
    /// How long a 401 or a 403 is remembered; `0s`: not at all; at most 1 h. Default `2s`: enough for a
    /// client that tries again and again, too short for one who has just been given access.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("pattern" = "^[0-9]+(ms|s|m|h)$", "default" = "2s"))
    )]
    negative_ttl: Option<String>,
    /// How long past its time a token serves where the service is unavailable; at most 24 h. Default
    /// `0s`, not at all: it is for the service to say for how long a token is good.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("pattern" = "^[0-9]+(ms|s|m|h)$", "default" = "0s"))
    )]
    stale_if_error: Option<String>,
    /// Whether a token that is in use is renewed in the background, at 80 % of its time. Default: no,
    /// as it costs callouts that may be for nothing.
    #[serde(default)]
    refresh_ahead: bool,
    /// The most requests that wait for the answer to one other request, 1 to 1000000; further ones are
    /// answered with 503. Default 1000.
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = 1, max = 1_000_000), extend("default" = 1000))
    )]
    max_waiters: Option<usize>,
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// See [`CacheFields`].
pub(crate) struct CacheParts {
    limits: Limits,
    life: LifeRules,
    negative: Option<LifeRules>,
}

impl CacheParts {
    /// `fingerprint`: of everything else that decides what is asked and how an answer is read.
    pub(super) fn build(self, mut fingerprint: Fingerprint, hash_key: HashKey) -> Cache {
        for rules in [Some(&self.life), self.negative.as_ref()] {
            let rules = rules.map_or([0; 3], |rules| {
                [rules.ttl_ms, rules.stale_if_error_ms, u64::from(rules.refresh_ahead)]
            });
            rules.into_iter().for_each(|number| fingerprint.number(number));
        }
        let fingerprint = fingerprint.finish();
        Cache {
            hash_key: Cache::hash_key(hash_key, &fingerprint),
            spec: StoreSpec { filter: String::new(), fingerprint, limits: self.limits },
            life: self.life,
            negative: self.negative,
        }
    }
}

/// `max_token_bytes`: the longest answer that there has to be room for.
pub(crate) fn cache(
    fields: Option<CacheFields>,
    max_token_bytes: usize,
    at: &Pointer<'_>,
    load: &mut Load,
) -> Option<Option<CacheParts>> {
    let Some(fields) = fields else { return Some(None) };
    let ttl = Time { default: 0, range: 1..=DAY_MS };
    let ttl = ttl.read(Some(fields.ttl), &at.key("ttl"), "1 ms to 24 h", load);
    let negative = Time { default: 2_000, range: 0..=HOUR_MS };
    let negative = negative.read(fields.negative_ttl, &at.key("negative_ttl"), "at most 1 h", load);
    let stale = Time { default: 0, range: 0..=DAY_MS };
    let stale = stale.read(fields.stale_if_error, &at.key("stale_if_error"), "at most 24 h", load);
    let mut count = |given: Option<usize>, default, key, range: RangeInclusive<usize>, expected| {
        let count = given.unwrap_or(default);
        load.expect(&at.key(key), range.contains(&count).then_some(count), expected)
    };
    let entries = count(fields.max_entries, 10_000, "max_entries", 1..=1_000_000, "1 to 1000000");
    let least = max_token_bytes.saturating_mul(4).max(65_536);
    let expected = "65536 to 268435456 bytes, and at least four times `max_token_bytes`";
    let bytes = count(fields.max_bytes, 16_777_216, "max_bytes", least..=268_435_456, expected);
    let waiters = count(fields.max_waiters, 1_000, "max_waiters", 1..=1_000_000, "1 to 1000000");
    let (ttl_ms, negative_ms, stale_if_error_ms) = (ttl?, negative?, stale?);
    let refresh_ahead = fields.refresh_ahead;
    Some(Some(CacheParts {
        limits: Limits { entries: entries?, bytes: bytes?, waiters: waiters? },
        life: LifeRules { ttl_ms, stale_if_error_ms, refresh_ahead },
        negative: (negative_ms > 0).then_some(LifeRules {
            ttl_ms: negative_ms,
            stale_if_error_ms: 0,
            refresh_ahead: false,
        }),
    }))
}
