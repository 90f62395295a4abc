//! What the end of a callout comes to.

use alloc::sync::Arc;

use bytes::Bytes;

use super::answer::{self, GrantError, Read};
use super::life::{LifeRules, life};
use super::reply::{Form, INVALID_TOKEN};
use super::{TokenExchange, meters};
use crate::callout::{CalloutAnswer, Outcome};
use crate::fields::FieldName;
use crate::fields::FieldValue;
use crate::filter::log_headers::RequestId;
use crate::host::{Host, Level, Section, UnixTime};
use crate::store::{Life, Refused, Verdict};

/// What the end of a callout comes to.
pub(super) struct Reading {
    pub(super) verdict: Verdict,
    /// `None` where it is not to be remembered.
    pub(super) life: Option<Life>,
    /// Which of the `callouts` it counts as.
    pub(super) result: u32,
}

impl Reading {
    const UNAVAILABLE: Self =
        Self { verdict: Verdict::Unavailable, life: None, result: meters::UNAVAILABLE };
    const UNUSABLE: Self =
        Self { verdict: Verdict::Unusable, life: None, result: meters::UNUSABLE };
}

impl TokenExchange {
    /// Reads how a callout ended that was started at `asked_at`.
    pub(super) fn read<H: Host>(
        &self,
        outcome: Outcome<'_>,
        asked_at: UnixTime,
        host: &H,
    ) -> Reading {
        let Outcome::Answer(answer) = outcome else {
            self.log(host, Level::Debug, "a callout failed: reset, or too large an answer");
            return Reading::UNAVAILABLE;
        };
        match answer.status {
            200 => self.read_token(&answer, asked_at, host),
            400..=499 if self.question.has_grant() => self.read_token(&answer, asked_at, host),
            status if self.replies.form == Form::Plugin => {
                let result = match status {
                    400..=499 => meters::REFUSED,
                    500..=599 => meters::UNAVAILABLE,
                    _ => meters::UNUSABLE,
                };
                let stale_ms = self.cache.as_ref().map_or(0, |cache| cache.life.stale_if_error_ms);
                if result == meters::UNAVAILABLE && stale_ms > 0 {
                    // An old token may do, and nothing else tells that one is called for.
                    return Reading::UNAVAILABLE;
                }
                Reading { result, ..self.refused(self.replies.relay(&answer), &answer, asked_at) }
            }
            400..=499 => self.refused(self.replies.relay(&answer), &answer, asked_at),
            500..=599 => Reading::UNAVAILABLE,
            _ => {
                self.log(host, Level::Warn, "an answer has neither status 200, 4xx nor 5xx");
                Reading::UNUSABLE
            }
        }
    }

    fn read_token<H: Host>(
        &self,
        answer: &CalloutAnswer<'_>,
        asked_at: UnixTime,
        host: &H,
    ) -> Reading {
        match answer::read(answer, &self.place, self.max_token_bytes) {
            Read::Token { token, expires_in_s } => {
                let Some(value) = self.value(&token) else {
                    self.log(host, Level::Warn, "an answer has a token that no field can hold");
                    return Reading::UNUSABLE;
                };
                let life = self
                    .cache
                    .as_ref()
                    .and_then(|cache| life(answer, &token, expires_in_s, &cache.life, asked_at));
                Reading { verdict: Verdict::Granted(value), life, result: meters::GRANTED }
            }
            Read::Unusable(reason) => {
                self.log(host, Level::Warn, reason);
                Reading::UNUSABLE
            }
            Read::Refused(GrantError::Caller) => {
                let refused = self.replies.grant_refused(401, Some(INVALID_TOKEN), answer);
                self.refused(refused, answer, asked_at)
            }
            Read::Refused(GrantError::Forbidden) => {
                let refused = self.replies.grant_refused(403, None, answer);
                self.refused(refused, answer, asked_at)
            }
            Read::Refused(GrantError::Ourselves(reason)) => {
                self.log(host, Level::Error, reason);
                Reading::UNUSABLE
            }
        }
    }

    fn refused(&self, refused: Refused, answer: &CalloutAnswer<'_>, asked_at: UnixTime) -> Reading {
        // Who is refused is refused for now; any other status is about the request, or passes.
        let negative: Option<&LifeRules> =
            self.cache.as_ref().and_then(|cache| cache.negative.as_ref());
        let life = negative
            .filter(|_| matches!(refused.status, 401 | 403))
            .and_then(|rules| life(answer, b"", None, rules, asked_at));
        Reading { verdict: Verdict::Refused(Arc::new(refused)), life, result: meters::REFUSED }
    }

    /// What is written for a token; `None` where it cannot be.
    fn value(&self, token: &Bytes) -> Option<Bytes> {
        if !self.bearer {
            return FieldValue::new(token).map(|_| token.clone());
        }
        answer::is_b64token(token).then(|| [b"Bearer ", &**token].concat().into())
    }

    /// One line of what the operator should know. `what` quotes nothing of a request or an answer.
    pub(super) fn log<H: Host>(&self, host: &H, level: Level, what: impl core::fmt::Display) {
        if host.logs(level) {
            let id = RequestId(host.values(Section::Request, FieldName::X_REQUEST_ID).next());
            let cluster = self.question.cluster();
            host.log(level, format_args!("{id} token_exchange with {cluster}: {what}"));
        }
    }
}
