//! Replies to requests that do not go on.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::callout::CalloutAnswer;
use crate::denial::Denial;
use crate::fields::{Field, FieldName};
use crate::flow::Reply;
use crate::store::Refused;

/// Whose words replies are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Ours.
    Own {
        /// Whether a refusal has the content of the service's answer.
        relay_body: bool,
    },
    /// Those of the older plug-in, which passes on the status of whatever is no token.
    Plugin,
}

/// The replies that are known at load, rendered.
#[derive(Debug)]
pub(super) struct Replies {
    pub(super) form: Form,
    bearer: Box<[Field]>,
    invalid_token: Box<[Field]>,
    retry: Box<[Field]>,
    failed: Box<[Field]>,
}

/// The largest content that is relayed, in bytes.
const LARGEST_BODY_BYTES: usize = 64 * 1024;

/// The most bytes of challenges that are relayed.
const LARGEST_CHALLENGES_BYTES: usize = 8 * 1024;

/// The challenge for a token that is no good (RFC 6750 section 3.1).
pub(super) const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

const BEARER: &str = "Bearer";

/// What the older plug-in answered, word for word.
const PLUGIN_BODY: &[u8] = b"Failed to add JWT";
const PLUGIN_FIELD: (&str, &str) = ("generated-by", "My WASM plugin");

const REFUSED_BODY: &[u8] = b"The token service refused the request.";

impl Replies {
    pub(super) fn new(form: Form) -> Self {
        let retry = field("retry-after", "1").into_iter().collect();
        let failed = match form {
            Form::Own { .. } => Clone::clone(&retry),
            Form::Plugin => plugin_field().collect(),
        };
        Self {
            form,
            bearer: challenge(BEARER).collect(),
            invalid_token: challenge(INVALID_TOKEN).collect(),
            retry,
            failed,
        }
    }

    /// The reply to a request that is denied for a reason of ours.
    pub(super) fn of(&self, denial: Denial) -> Reply<'_> {
        let (fields, body): (&[Field], &[u8]) = match denial {
            Denial::NoCredentials => (&self.bearer, b"A credential is required."),
            Denial::MalformedCredentials => (&self.bearer, b"The credential is not well-formed."),
            Denial::RepeatedCredentials => (&self.bearer, b"There is more than one credential."),
            Denial::ExchangeOverloaded => {
                (&self.retry, b"Too many requests wait for the token service.")
            }
            _ if self.form == Form::Plugin => (&self.failed, PLUGIN_BODY),
            Denial::ExchangeUnavailable => (&self.failed, b"The token service is not available."),
            _ => (&self.failed, b"The token service gave no token."),
        };
        Reply { fields: fields.into(), ..Reply::new(denial, body) }
    }

    /// The reply to a caller whom the service has refused. Where it has nothing of the service's own
    /// in it, it takes no memory: a flood of refused requests costs none.
    pub(super) fn refused(&self, refused: &Refused) -> Reply<'_> {
        let known: [&[Field]; 4] = [&[], &self.bearer, &self.invalid_token, &self.failed];
        let fields = known.into_iter().find(|known| *known == &*refused.fields);
        let body = [REFUSED_BODY, PLUGIN_BODY].into_iter().find(|known| *known == refused.body);
        Reply {
            denial: refused.denial,
            status: refused.status,
            fields: fields.map_or_else(|| Cow::Owned(refused.fields.to_vec()), Cow::Borrowed),
            body: body.map_or_else(|| Cow::Owned(refused.body.to_vec()), Cow::Borrowed),
        }
    }

    /// Tells the caller what the service told us, with a status from 400 to 499; in the words of the
    /// older plug-in with any.
    pub(super) fn relay(&self, answer: &CalloutAnswer<'_>) -> Refused {
        let Form::Own { .. } = self.form else { return in_plugins_words(answer.status) };
        let mut fields = challenges(answer);
        if fields.is_empty() && answer.status == 401 {
            // RFC 9110 section 15.5.2.
            fields.extend(challenge(BEARER));
        }
        self.with_body(answer.status, fields, answer)
    }

    /// Tells the caller what a token endpoint told us, whose statuses are about the grant, not about
    /// the caller's request (RFC 6749 section 5.2).
    pub(super) fn grant_refused(
        &self,
        status: u16,
        challenged: Option<&str>,
        answer: &CalloutAnswer<'_>,
    ) -> Refused {
        self.with_body(status, challenged.into_iter().flat_map(challenge).collect(), answer)
    }

    fn with_body(&self, status: u16, fields: Vec<Field>, answer: &CalloutAnswer<'_>) -> Refused {
        let mut fields = fields;
        let relayed = match self.form {
            Form::Own { relay_body: true } => body(answer),
            _ => None,
        };
        if relayed.is_some() {
            let content_type = answer.values(b"content-type").next();
            let name = FieldName::CONTENT_TYPE.clone();
            fields.extend(content_type.and_then(|value| Field::new(name, value)));
        }
        Refused {
            denial: Denial::ExchangeRefused,
            status,
            fields: fields.into(),
            body: relayed.map_or(Bytes::from_static(REFUSED_BODY), Bytes::copy_from_slice),
        }
    }
}

fn in_plugins_words(status: u16) -> Refused {
    let status = if (200..=599).contains(&status) { status } else { 503 };
    let denial = match status {
        400..=499 => Denial::ExchangeRefused,
        500..=599 => Denial::ExchangeUnavailable,
        _ => Denial::ExchangeUnusable,
    };
    // RFC 9110 section 6.4.1.
    let bodiless = matches!(status, 204 | 205 | 304);
    let body = if bodiless { &[] } else { PLUGIN_BODY };
    Refused { denial, status, fields: plugin_field().collect(), body: Bytes::from_static(body) }
}

/// The challenges of an answer, as far as they can be written.
fn challenges(answer: &CalloutAnswer<'_>) -> Vec<Field> {
    let mut left = LARGEST_CHALLENGES_BYTES;
    let name = FieldName::WWW_AUTHENTICATE;
    let fits = |value: &&[u8]| match left.checked_sub(value.len()) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    };
    let values = answer.values(name.as_bytes()).filter(fits);
    values.filter_map(|value| Field::new(name.clone(), value)).collect()
}

/// The content of an answer, where it can be relayed with its type alone.
fn body<'a>(answer: &CalloutAnswer<'a>) -> Option<&'a [u8]> {
    let coded = answer.values(b"content-encoding").next().is_some();
    (!coded && answer.body.len() <= LARGEST_BODY_BYTES).then_some(answer.body)
}

fn challenge(value: &str) -> impl Iterator<Item = Field> + use<> {
    Field::new(FieldName::WWW_AUTHENTICATE.clone(), value).into_iter()
}

fn plugin_field() -> impl Iterator<Item = Field> {
    let (name, value) = PLUGIN_FIELD;
    field(name, value).into_iter()
}

fn field(name: &str, value: &str) -> Option<Field> {
    Field::new(FieldName::parse(name)?, value)
}
