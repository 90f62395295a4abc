//! How stores and what is in them are shown: by counts. All of it may be secret.

use core::fmt::{Debug, Formatter, Result};

use super::{Asked, Collected, Key, Landed, Refused, Shard, Slot, Ticket, Verdict};

impl<W> Debug for Shard<W> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (flights, landed, waiting) = self.flights.counts();
        f.debug_struct("Shard")
            .field("entries", &self.entries.len())
            .field("flights", &flights)
            .field("landed", &landed)
            .field("waiting", &waiting)
            .finish()
    }
}

impl Debug for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("Key(..)")
    }
}

impl Debug for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Granted(token) => write!(f, "Granted({} bytes)", token.len()),
            Self::Refused(refused) => refused.fmt(f),
            Self::Unavailable => f.write_str("Unavailable"),
            Self::Unusable => f.write_str("Unusable"),
        }
    }
}

impl Debug for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Refused")
            .field("denial", &self.denial)
            .field("status", &self.status)
            .field("fields", &self.fields.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

impl Debug for Ticket {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Ticket({} of flight {})", self.seat, self.flight)
    }
}

impl Debug for Asked {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Known { verdict, refresh } => {
                f.debug_struct("Known").field("verdict", verdict).field("refresh", refresh).finish()
            }
            Self::Lead(ticket) => f.debug_tuple("Lead").field(ticket).finish(),
            Self::Wait(ticket) => f.debug_tuple("Wait").field(ticket).finish(),
            Self::Full => f.write_str("Full"),
        }
    }
}

impl<W> Debug for Collected<W> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Landed { verdict, stale } => {
                f.debug_struct("Landed").field("verdict", verdict).field("stale", stale).finish()
            }
            Self::Lead(ticket, ms) => f.debug_tuple("Lead").field(ticket).field(ms).finish(),
            Self::Wait(ticket) => f.debug_tuple("Wait").field(ticket).finish(),
            Self::Late(next) => f.debug_tuple("Late").field(&next.is_some()).finish(),
        }
    }
}

impl<W> Debug for Landed<W> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Landed")
            .field("verdict", &self.verdict)
            .field("stale", &self.stale)
            .field("wake", &self.wake.len())
            .field("evicted", &self.evicted)
            .field("entries", &self.entries)
            .finish()
    }
}

impl Debug for Slot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "Slot({})", self.index)
    }
}
