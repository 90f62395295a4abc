//! What one instance leaves in a slot for the others.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::fields::FieldValue;
use crate::host::UnixTime;
use crate::store::Life;

/// A value for the upstream, and its life.
pub(super) struct Left {
    pub(super) value: Bytes,
    pub(super) life: Life,
}

/// Instances of two versions may run side by side.
const VERSION: u8 = 1;

impl Left {
    pub(super) fn write(value: &[u8], life: Life) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(value.len().saturating_add(25));
        bytes.push(VERSION);
        for time in [life.refresh_from, life.fresh_until, life.stale_until] {
            bytes.extend_from_slice(&time.0.to_be_bytes());
        }
        bytes.extend_from_slice(value);
        bytes
    }

    /// `None` unless it is what [`Left::write`] wrote, of a value that can be written.
    pub(super) fn read(bytes: Vec<u8>) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (refresh_from, rest) = time(rest)?;
        let (fresh_until, rest) = time(rest)?;
        let (stale_until, value) = time(rest)?;
        if stale_until < fresh_until || FieldValue::new(value).is_none() {
            return None;
        }
        let value = Bytes::copy_from_slice(value);
        Some(Self { value, life: Life { refresh_from, fresh_until, stale_until } })
    }
}

fn time(bytes: &[u8]) -> Option<(UnixTime, &[u8])> {
    let (time, rest) = bytes.split_first_chunk::<8>()?;
    Some((UnixTime(u64::from_be_bytes(*time)), rest))
}
