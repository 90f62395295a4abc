//! Callouts, and how a test has them end.

use super::calls::BAD_ARGUMENT;
use super::{FakeHost, Fields, with, within};
use crate::pairs::{self, Pairs};

/// Tokens of one VM are so far apart.
const TOKENS: u32 = 4;

/// A callout that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// The root context that it belongs to.
    pub root: u32,
    /// The name of the cluster.
    pub cluster: Vec<u8>,
    /// Its fields, pseudo-headers among them.
    pub fields: Fields,
    /// Its content.
    pub body: Vec<u8>,
    /// When the host gives up, in milliseconds.
    pub timeout_ms: u32,
}

/// The answer to a callout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The fields, `:status` among them.
    pub fields: Fields,
    /// The content.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Fields,
}

impl Answer {
    /// An answer with these fields beside `:status`.
    #[must_use]
    pub fn new(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Self {
        let mut answer = Self { body: body.to_vec(), ..Self::default() };
        answer.fields.add(b":status", status.to_string().as_bytes());
        for (name, value) in fields {
            answer.fields.add(name.as_bytes(), value.as_bytes());
        }
        answer
    }
}

impl FakeHost {
    /// The tokens of the callouts under way, oldest first.
    #[must_use]
    pub fn tokens(&self) -> Vec<u32> {
        self.callouts.keys().copied().collect()
    }

    /// A callout is the root context's, whatever context is in effect.
    pub(super) fn http_call(&mut self, callout: Callout, list: &[u8]) -> Result<u32, u32> {
        let pairs = Pairs::parse(list).unwrap_or_default();
        let whole = list.len() <= pairs::MAX_BYTES && pairs.len() <= pairs::MAX_PAIRS;
        let fields: Fields = if whole { pairs.iter().collect() } else { Fields::default() };
        let has = |name: &[u8]| fields.values(name).next().is_some();
        let complete = [&b":method"[..], b":path", b":authority"].iter().all(|name| has(name));
        if !complete || self.missing_clusters.contains(&callout.cluster) {
            return Err(BAD_ARGUMENT);
        }
        let root = self.effective_root_id()?;
        self.last_token = self.last_token.saturating_add(TOKENS);
        self.callouts.insert(self.last_token, Callout { root, fields, ..callout });
        Ok(self.last_token)
    }
}

/// Has a callout end and runs `proxy_on_http_call_response`, whose arguments are the root context,
/// the token, the numbers of fields and of bytes of content. `None`: without an answer. A token that
/// is not under way is the root context 1's.
pub fn on_http_call_response<R>(
    token: u32,
    answer: Option<Answer>,
    callback: impl FnOnce(u32, u32, u32, usize) -> R,
) -> R {
    let root = with(|host| host.callouts.remove(&token)).map_or(1, |callout| callout.root);
    let fields = answer.as_ref().map_or(0, |answer| answer.fields.iter().count());
    let bytes = answer.as_ref().map_or(0, |answer| answer.body.len());
    with(|host| host.answer = answer);
    let fields = u32::try_from(fields).unwrap_or(u32::MAX);
    let given = within(root, || callback(root, token, fields, bytes));
    with(|host| host.answer = None);
    given
}
