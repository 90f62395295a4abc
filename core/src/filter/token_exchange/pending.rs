//! What a request waits for.

use crate::callout::CalloutId;
use crate::host::UnixTime;
use crate::store::{Key, Slot, Ticket};

/// What a request waits for.
pub(super) enum Pending {
    /// The end of its own callout.
    Callout(CalloutId, Asked),
    /// The end of another's.
    Flight(Key, Ticket),
}

/// A callout that is under way.
pub(super) struct Asked {
    /// Since when.
    pub(super) at: UnixTime,
    /// Where there is a cache.
    pub(super) lead: Option<Lead>,
}

/// What the one who asks owes to those who wait, and to later ones.
pub(super) struct Lead {
    pub(super) key: Key,
    pub(super) ticket: Ticket,
    /// Where other instances look for the answer.
    pub(super) slot: Option<Slot>,
}
