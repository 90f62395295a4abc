//! How long the answer to an exchange is of use.

use crate::callout::CalloutAnswer;
use crate::host::UnixTime;
use crate::store::Life;
use crate::syntax::cache_control::{self, CacheControl};
use crate::syntax::jwt;

/// What the configuration says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LifeRules {
    /// The longest that an answer is fresh, in milliseconds.
    pub(crate) ttl_ms: u64,
    /// How long after that it is still better than none, in milliseconds.
    pub(crate) stale_if_error_ms: u64,
    /// Whether it is asked for anew before its time is up.
    pub(crate) refresh_ahead: bool,
}

/// How long before its own end a token is no longer handed out, in milliseconds: the request that
/// carries it has a way to go, to clocks that are not ours.
const MARGIN_MS: u64 = 15_000;

/// The life of a token, counted from when it was asked for; `None` where it is not to be stored.
///
/// It is the least of
///
/// - `ttl`,
/// - the `exp` of the token less 15 s, where the token is a JWT ([`jwt::expires_at_ms`]),
/// - `expires_in` less 15 s, where the answer has it,
/// - `max-age` of `cache-control` less `age`, where the answer has it.
///
/// Not stored at all is what comes to no life by that, a JWT with an `exp` that is none, and an
/// answer whose `cache-control` has `no-store` or `no-cache`, or cannot be read. `private` does not
/// keep a token from being stored: who presents the same credential gets it again, and nobody else.
/// Where an answer has `expires_in`, `no-store` and `no-cache` are for other caches than this one: RFC
/// 6749 section 5.1 asks every token endpoint for them, and says by `expires_in` how long a client may
/// use the token. `s-maxage` is for caches shared by all, and means nothing here; neither do `expires` and `pragma`.
///
/// A stale token is used no longer than `stale_if_error`, never past its own end (`exp`, or
/// `expires_in`), and not at all after `must-revalidate`. It is time to ask anew after 80 % of its life.
pub(crate) fn life(
    answer: &CalloutAnswer<'_>,
    token: &[u8],
    expires_in_s: Option<u64>,
    rules: &LifeRules,
    asked_at: UnixTime,
) -> Option<Life> {
    let directives = CacheControl::read(answer.values(b"cache-control")).ok()?;
    if (directives.no_store || directives.no_cache) && expires_in_s.is_none() {
        return None;
    }
    let max_age_ms = directives.max_age_s.map(|seconds| {
        milliseconds(seconds.saturating_sub(cache_control::age_s(answer.values(b"age"))))
    });
    let by_exp_ms = jwt::expires_at_ms(token).ok()?.map(|exp| UnixTime(exp).since(asked_at));
    let own_end_ms = least(by_exp_ms, expires_in_s.map(milliseconds));
    let by_own_end_ms = own_end_ms.map(|end| end.saturating_sub(MARGIN_MS));

    let fresh_ms = least(max_age_ms, by_own_end_ms).map_or(rules.ttl_ms, |ms| ms.min(rules.ttl_ms));
    if fresh_ms == 0 {
        return None;
    }
    let stale_ms = if directives.must_revalidate { 0 } else { rules.stale_if_error_ms };
    let stale_until_ms = fresh_ms.saturating_add(stale_ms).min(own_end_ms.unwrap_or(u64::MAX));
    Some(Life {
        refresh_from: match rules.refresh_ahead {
            true => asked_at.after(fresh_ms.saturating_sub(fresh_ms / 5)),
            false => UnixTime(u64::MAX),
        },
        fresh_until: asked_at.after(fresh_ms),
        stale_until: asked_at.after(stale_until_ms),
    })
}

fn milliseconds(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000)
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
