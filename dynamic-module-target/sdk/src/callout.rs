//! Requests that a module sends through Envoy, and how they end.

use core::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::abi::{CalloutInitResult, CalloutResult, RawEnvoyBuffer, RawEnvoyHeader};
use crate::buffer::EnvoyBuffer;

/// How a callout ended.
#[derive(Clone, Copy, Debug)]
pub enum CalloutOutcome<'a> {
    /// With an answer. A timeout is one of status 504, a connection that failed one of 503.
    Success(CalloutResponse<'a>),
    /// The connection was reset half-way.
    Reset,
    /// The answer is larger than Envoy takes.
    ExceedResponseBufferLimit,
}

/// The answer to a callout, lent by Envoy.
#[derive(Clone, Copy)]
pub struct CalloutResponse<'a> {
    headers: &'a [RawEnvoyHeader],
    chunks: &'a [RawEnvoyBuffer],
}

impl<'a> CalloutResponse<'a> {
    /// All fields in their order, `:status` among them, names in lower case.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (EnvoyBuffer<'a>, EnvoyBuffer<'a>)> {
        // SAFETY: lent for 'a by `CalloutOutcome::new`.
        self.headers
            .iter()
            .map(|field| unsafe { (EnvoyBuffer::new(field.key), EnvoyBuffer::new(field.value)) })
    }

    /// The content, piece by piece.
    pub fn body_chunks(&self) -> impl ExactSizeIterator<Item = EnvoyBuffer<'a>> {
        // SAFETY: lent for 'a by `CalloutOutcome::new`.
        self.chunks.iter().map(|chunk| unsafe { EnvoyBuffer::new(*chunk) })
    }
}

/// The answer may hold secrets, so only its size is shown.
impl fmt::Debug for CalloutResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CalloutResponse({} fields, {} chunks)", self.headers.len(), self.chunks.len())
    }
}

impl CalloutOutcome<'_> {
    /// What Envoy says of the end of a callout; a result that this version does not know is a reset.
    ///
    /// # Safety
    ///
    /// Each pointer is null or starts as many elements as its size says, which stay unchanged for the
    /// lifetime, and so do the bytes that they point at.
    pub(crate) unsafe fn new(
        result: u32,
        headers: *const RawEnvoyHeader,
        headers_size: usize,
        chunks: *const RawEnvoyBuffer,
        chunks_size: usize,
    ) -> Self {
        match CalloutResult::from_number(result) {
            // SAFETY: passed on to the caller.
            Some(CalloutResult::Success) => Self::Success(unsafe {
                CalloutResponse {
                    headers: slice(headers, headers_size),
                    chunks: slice(chunks, chunks_size),
                }
            }),
            Some(CalloutResult::ExceedResponseBufferLimit) => Self::ExceedResponseBufferLimit,
            Some(CalloutResult::Reset) | None => Self::Reset,
        }
    }
}

/// # Safety
///
/// `first` is null or starts `size` elements that stay unchanged for `'a`.
unsafe fn slice<'a, T>(first: *const T, size: usize) -> &'a [T] {
    if first.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: passed on to the caller.
    unsafe { core::slice::from_raw_parts(first, size) }
}

/// The event with which a scheduler of this crate brings what [`Early`] has kept.
pub(crate) const EARLY_EVENT: u64 = u64::MAX;

/// Callouts that have ended before the call that started them returned: Envoy answers some by itself,
/// for instance when the cluster has no host. The module hears of them later, when nothing of it is
/// running.
#[derive(Default)]
pub(crate) struct Early {
    starting: AtomicBool,
    ended: Mutex<Vec<Ended>>,
}

/// A callout that has ended, and a copy of its outcome.
pub(crate) struct Ended {
    pub(crate) id: u64,
    outcome: OwnedOutcome,
}

enum OwnedOutcome {
    Success { headers: Vec<(Vec<u8>, Vec<u8>)>, chunks: Vec<Vec<u8>> },
    Reset,
    ExceedResponseBufferLimit,
}

impl Early {
    /// Starts a callout by `start`, which writes its id and returns a [`CalloutInitResult`], and has
    /// [`EARLY_EVENT`] brought by `schedule` if it ended meanwhile.
    ///
    /// Envoy says "cannot create" of a callout that has ended already; that it has ended counts.
    pub(crate) fn start(
        &self,
        start: impl FnOnce(&mut u64) -> u32,
        schedule: impl FnOnce(),
    ) -> Result<u64, CalloutInitResult> {
        let before = self.ended().len();
        let mut id = 0;
        // A relaxed store: it is for hooks nested in this call, on this thread.
        self.starting.store(true, Ordering::Relaxed);
        let result = start(&mut id);
        self.starting.store(false, Ordering::Relaxed);
        let early = self.ended().get(before).map(|ended| ended.id);
        if early.is_some() {
            schedule();
        }
        match (CalloutInitResult::from_number(result), early) {
            (Some(CalloutInitResult::Success), _) => Ok(id),
            (_, Some(early)) => Ok(early),
            (Some(failure), None) => Err(failure),
            (None, None) => Err(CalloutInitResult::CannotCreateRequest),
        }
    }

    /// Keeps a copy of how a callout ended, if that is being started right now.
    pub(crate) fn keeps(&self, id: u64, outcome: CalloutOutcome<'_>) -> bool {
        let starting = self.starting.load(Ordering::Relaxed);
        if starting {
            self.ended().push(Ended { id, outcome: OwnedOutcome::of(outcome) });
        }
        starting
    }

    /// What it has kept.
    pub(crate) fn take(&self) -> Vec<Ended> {
        core::mem::take(&mut self.ended())
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Ended>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ended {
    /// Lends the outcome as Envoy would.
    pub(crate) fn lend<R>(&self, work: impl FnOnce(CalloutOutcome<'_>) -> R) -> R {
        let (headers, chunks) = match &self.outcome {
            OwnedOutcome::Reset => return work(CalloutOutcome::Reset),
            OwnedOutcome::ExceedResponseBufferLimit => {
                return work(CalloutOutcome::ExceedResponseBufferLimit);
            }
            OwnedOutcome::Success { headers, chunks } => (headers, chunks),
        };
        let raw = |bytes: &Vec<u8>| RawEnvoyBuffer { ptr: bytes.as_ptr(), length: bytes.len() };
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| RawEnvoyHeader { key: raw(key), value: raw(value) })
            .collect();
        let chunks: Vec<_> = chunks.iter().map(raw).collect();
        work(CalloutOutcome::Success(CalloutResponse { headers: &headers, chunks: &chunks }))
    }
}

impl OwnedOutcome {
    fn of(outcome: CalloutOutcome<'_>) -> Self {
        match outcome {
            CalloutOutcome::Success(response) => Self::Success {
                headers: response.headers().map(|(k, v)| (k.to_vec(), v.to_vec())).collect(),
                chunks: response.body_chunks().map(|chunk| chunk.to_vec()).collect(),
            },
            CalloutOutcome::Reset => Self::Reset,
            CalloutOutcome::ExceedResponseBufferLimit => Self::ExceedResponseBufferLimit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_nobody_knows_is_a_reset() {
        for (number, name) in [(0, "Success"), (1, "Reset"), (2, "Exceed"), (3, "Reset")] {
            // SAFETY: null pointers.
            let outcome =
                unsafe { CalloutOutcome::new(number, core::ptr::null(), 0, core::ptr::null(), 0) };
            assert!(format!("{outcome:?}").starts_with(name), "{outcome:?}");
        }
    }

    #[test]
    fn starts_that_fail() {
        let early = Early::default();
        for (number, result) in [
            (0, Ok(7)),
            (1, Err(CalloutInitResult::MissingRequiredHeaders)),
            (4, Err(CalloutInitResult::CannotCreateRequest)),
            (9, Err(CalloutInitResult::CannotCreateRequest)),
        ] {
            let start = |id: &mut u64| {
                *id = 7;
                number
            };
            assert_eq!(early.start(start, || panic!("nothing is early")), result);
        }
        assert!(!early.keeps(7, CalloutOutcome::Reset));
        assert!(early.take().is_empty());
    }
}
