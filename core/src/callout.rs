//! Requests that the policy itself sends, and their answers.

use core::fmt;

use alloc::boxed::Box;
use core::any::Any;

/// An HTTP request to a cluster of the proxy, on behalf of a filter.
#[derive(Clone, Copy)]
pub struct Callout<'a> {
    /// The proxy's name of the cluster.
    pub cluster: &'a str,
    /// Field lines in their order; `:method`, `:path` and `:authority` first. The proxy may add
    /// fields of its own.
    pub fields: &'a [(&'a [u8], &'a [u8])],
    /// The content.
    pub body: &'a [u8],
    /// When the proxy gives up, in milliseconds; at least 1.
    pub timeout_ms: u32,
}

/// Fields and content are secrets, so neither is shown.
impl fmt::Debug for Callout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callout")
            .field("cluster", &self.cluster)
            .field("fields", &self.fields.len())
            .field("body_bytes", &self.body.len())
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

/// What a host calls a callout that it has started. An answer with another id is none to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalloutId(pub u64);

/// Why a callout was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatchError {
    /// The proxy has no cluster of that name, on this worker at least.
    NoCluster,
    /// The proxy takes no such request.
    Rejected,
    /// It could not be sent: the cluster has no host, or too many callouts wait.
    CannotSend,
}

impl fmt::Display for DispatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCluster => "the proxy has no such cluster",
            Self::Rejected => "the proxy takes no such request",
            Self::CannotSend => "the request could not be sent",
        })
    }
}

/// How a callout ended.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    /// With an answer. A connection that failed is one of status 503 and a timeout one of 504: no
    /// host tells these from the service's own.
    Answer(CalloutAnswer<'a>),
    /// Without one: reset half-way, or larger than the proxy takes.
    Failed,
}

/// The answer to a callout. Hostile like everything else that comes from outside.
#[derive(Clone, Copy)]
pub struct CalloutAnswer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Field lines in order of arrival, names in lower case, `:status` aside.
    pub fields: &'a [(&'a [u8], &'a [u8])],
    /// The content; of one of more than 128 KiB a host may give no more than what shows that it is
    /// longer.
    pub body: &'a [u8],
}

/// The answer may hold a token, so only its status is shown.
impl fmt::Debug for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "Answer({})", answer.status),
            Self::Failed => f.write_str("Failed"),
        }
    }
}

impl CalloutAnswer<'_> {
    /// The values of `name`, which is in lower case, in order of arrival.
    pub fn values<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &[u8]> + use<'_, 'n> {
        self.fields.iter().filter(move |(n, _)| *n == name).map(|(_, value)| *value)
    }
}

/// What comes to a stream that waits.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A callout that the stream started has ended.
    Ended(CalloutId, Outcome<'a>),
    /// Another stream has [woken](crate::Host::wake) it.
    Woken,
}

/// A callout that no stream waits for, and what its filter has to know when it ends.
pub struct Errand {
    pub(crate) step: usize,
    /// Made by the filter, which gets it back in [`Filter::on_errand`](crate::Filter::on_errand).
    pub state: Box<dyn Any + Send>,
}

impl Errand {
    /// An errand of the filter that hands it to its host.
    pub fn new(state: impl Any + Send) -> Self {
        Self { step: 0, state: Box::new(state) }
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errand(of step {})", self.step)
    }
}
