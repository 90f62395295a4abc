//! Callouts of streams and of configurations: kept until a test answers them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Fields, raw};
use crate::abi::{
    CalloutInitResult, CalloutResult, ModuleBuffer, ModuleHeader, RawEnvoyBuffer, RawEnvoyHeader,
};

/// A callout that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeCallout {
    /// What the module knows it by.
    pub id: u64,
    /// The cluster that it goes to.
    pub cluster: String,
    /// Fields in their order.
    pub headers: Fields,
    /// The content.
    pub body: Vec<u8>,
    /// When Envoy gives up, in milliseconds.
    pub timeout_ms: u64,
}

/// How a callout ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FakeAnswer {
    /// With an answer.
    Success {
        /// Fields, `:status` among them.
        headers: Fields,
        /// The content, piece by piece.
        chunks: Vec<Vec<u8>>,
    },
    /// Reset.
    Reset,
    /// Too large.
    ExceedResponseBufferLimit,
    /// With a result that no version knows yet.
    Unknown,
}

/// What becomes of callouts that are about to be started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CalloutPlan {
    /// They are started, and end when a test says so.
    #[default]
    Start,
    /// They are not started.
    Refuse(CalloutInitResult),
    /// They end before the call returns, which says that they were started.
    Inline(FakeAnswer),
    /// They end before the call returns, which says that they could not be, as Envoy does.
    InlineRefused(FakeAnswer),
}

impl FakeAnswer {
    /// An answer of this status, with content in these pieces.
    #[must_use]
    pub fn of(status: &str, chunks: &[&str]) -> Self {
        let headers = vec![(b":status".to_vec(), status.as_bytes().to_vec())];
        let chunks = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
        Self::Success { headers, chunks }
    }

    /// The same with one more field, its name in lower case.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Self::Success { headers, .. } = &mut self {
            headers.push((name.as_bytes().to_vec(), value.as_ref().to_vec()));
        }
        self
    }

    /// Lends it as Envoy does; on failure there is nothing but null pointers.
    pub(super) fn lend(self, hook: impl FnOnce(u32, &[RawEnvoyHeader], &[RawEnvoyBuffer])) {
        let (result, headers, chunks) = match self {
            Self::Success { headers, chunks } => (CalloutResult::Success.number(), headers, chunks),
            Self::Reset => (CalloutResult::Reset.number(), vec![], vec![]),
            Self::ExceedResponseBufferLimit => {
                (CalloutResult::ExceedResponseBufferLimit.number(), vec![], vec![])
            }
            Self::Unknown => (99, vec![], vec![]),
        };
        let fields: Vec<_> =
            headers.iter().map(|(k, v)| RawEnvoyHeader { key: raw(k), value: raw(v) }).collect();
        let pieces: Vec<_> = chunks.iter().map(|chunk| raw(chunk)).collect();
        hook(result, &fields, &pieces);
    }
}

/// Those that are under way, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Callouts {
    state: Mutex<(u64, Vec<FakeCallout>)>,
    unknown_clusters: Mutex<Vec<String>>,
}

/// What starting one comes to.
pub(super) enum Started {
    No(CalloutInitResult),
    Yes(u64),
    Inline(u64, FakeAnswer, CalloutInitResult),
}

impl Callouts {
    pub(super) fn unknown_cluster(&self, name: &str) {
        self.unknown().push(name.to_owned());
    }

    fn knows_not(&self, cluster: &str) -> bool {
        self.unknown().iter().any(|name| name == cluster)
    }

    fn unknown(&self) -> MutexGuard<'_, Vec<String>> {
        self.unknown_clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one; which clusters are unknown, those of the configuration know.
    ///
    /// # Safety
    ///
    /// `headers` starts `headers_size` fields.
    #[expect(clippy::too_many_arguments, reason = "as in the ABI")]
    pub(super) unsafe fn start(
        &self,
        plan: CalloutPlan,
        clusters: &Self,
        cluster: ModuleBuffer<'_>,
        headers: *mut ModuleHeader<'_>,
        headers_size: usize,
        body: ModuleBuffer<'_>,
        timeout_ms: u64,
    ) -> Started {
        // SAFETY: passed on to the caller.
        let headers = unsafe { core::slice::from_raw_parts(headers, headers_size) };
        let bytes = |buffer: ModuleBuffer<'_>| buffer.bytes().unwrap_or_default().to_vec();
        let headers: Fields = headers.iter().map(|h| (bytes(h.key), bytes(h.value))).collect();
        let has = |names: &[&[u8]]| headers.iter().any(|(name, _)| names.contains(&&**name));
        if !(has(&[b":method"]) && has(&[b":path"]) && has(&[b":authority", b"host"])) {
            return Started::No(CalloutInitResult::MissingRequiredHeaders);
        }
        if let CalloutPlan::Refuse(why) = plan {
            return Started::No(why);
        }
        let cluster = String::from_utf8_lossy(&bytes(cluster)).into_owned();
        if clusters.knows_not(&cluster) {
            return Started::No(CalloutInitResult::ClusterNotFound);
        }
        let mut state = self.state();
        state.0 += 1;
        let id = state.0;
        match plan {
            CalloutPlan::Inline(answer) => Started::Inline(id, answer, CalloutInitResult::Success),
            CalloutPlan::InlineRefused(answer) => {
                Started::Inline(id, answer, CalloutInitResult::CannotCreateRequest)
            }
            CalloutPlan::Start | CalloutPlan::Refuse(_) => {
                let body = bytes(body);
                state.1.push(FakeCallout { id, cluster, headers, body, timeout_ms });
                Started::Yes(id)
            }
        }
    }

    pub(super) fn list(&self) -> Vec<FakeCallout> {
        self.state().1.clone()
    }

    /// Ends one; `false` if it is not under way.
    pub(super) fn end(&self, id: u64) -> bool {
        let mut state = self.state();
        let place = state.1.iter().position(|callout| callout.id == id);
        place.map(|place| state.1.remove(place)).is_some()
    }

    pub(super) fn give_up(&self) {
        self.state().1.clear();
    }

    fn state(&self) -> MutexGuard<'_, (u64, Vec<FakeCallout>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
