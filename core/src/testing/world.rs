//! What streams of a host in memory have in common: the time, the stores, and the service that
//! callouts go to.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use super::corpus::{FieldLines, NO_CLUSTER};
use crate::callout::{Callout, CalloutId, DispatchError, Errand};
use crate::filter::FilterSet;
use crate::host::UnixTime;
use crate::policy::Policy;
use crate::store::{Shard, Slot, StoreId, StoreSpec};

/// The number of a stream: what wakes it.
pub type StreamNumber = usize;

/// What was left in slots, by their number: the key, and the value.
pub type Slots = BTreeMap<u16, ([u8; 32], Vec<u8>)>;

/// What the streams of one worker share.
#[derive(Default)]
pub struct World {
    /// The time of day.
    pub now: Cell<UnixTime>,
    /// Callouts under way, by the id that the host gave them.
    pub callouts: RefCell<BTreeMap<CalloutId, SentCallout>>,
    /// Streams that were woken and have not been told yet, in order.
    pub woken: RefCell<Vec<StreamNumber>>,
    /// Why no callout can be started, if none can.
    pub down: Cell<Option<DispatchError>>,
    /// Whether each cluster exists, the one too that cases call missing.
    pub has_all_clusters: Cell<bool>,
    /// What was left in slots; `None` on a host that has none.
    pub slots: RefCell<Option<Slots>>,
    stores: RefCell<Vec<Vec<Shard<StreamNumber>>>>,
    sent: Cell<u64>,
}

/// A callout that was started.
pub struct SentCallout {
    /// The proxy's name of the cluster.
    pub cluster: String,
    /// Field lines in their order.
    pub fields: FieldLines,
    /// The content.
    pub body: Vec<u8>,
    /// When the proxy gives up, in milliseconds.
    pub timeout_ms: u32,
    /// Who waits for it.
    pub sender: Sender,
}

/// Who sent a callout.
pub enum Sender {
    /// A stream.
    Stream(StreamNumber),
    /// A filter, on behalf of no stream.
    Errand(Errand),
}

impl World {
    /// A world with the stores of a policy.
    pub fn of<X: FilterSet>(policy: &Policy<X>) -> Self {
        Self::with_stores(policy.stores())
    }

    /// A world with these stores.
    pub fn with_stores(specs: &[StoreSpec]) -> Self {
        let shards = |spec: &StoreSpec| (0..spec.shards()).map(|_| spec.shard()).collect();
        Self { stores: RefCell::new(specs.iter().map(shards).collect()), ..Self::default() }
    }

    pub(super) fn send(
        &self,
        callout: &Callout<'_>,
        sender: Sender,
    ) -> Result<CalloutId, DispatchError> {
        if let Some(error) = self.down.get() {
            return Err(error);
        }
        if callout.cluster == NO_CLUSTER && !self.has_all_clusters.get() {
            return Err(DispatchError::NoCluster);
        }
        let id = CalloutId(self.sent.get().saturating_add(1));
        self.sent.set(id.0);
        let fields = callout.fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec()));
        let sent = SentCallout {
            cluster: callout.cluster.to_string(),
            fields: fields.collect(),
            body: callout.body.to_vec(),
            timeout_ms: callout.timeout_ms,
            sender,
        };
        self.callouts.borrow_mut().insert(id, sent);
        Ok(id)
    }

    #[expect(
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "a store of this policy"
    )]
    pub(super) fn shared<R>(
        &self,
        store: StoreId,
        hash: u64,
        work: impl FnOnce(&mut Shard<StreamNumber>) -> R,
    ) -> R {
        let mut stores = self.stores.borrow_mut();
        let shards = stores.get_mut(store.index()).expect("the store of a filter that has one");
        let place = usize::try_from(hash).unwrap_or_default() % shards.len();
        work(&mut shards[place])
    }

    pub(super) fn slot(&self, parts: &[&[u8]]) -> Option<Slot> {
        self.slots.borrow().as_ref()?;
        let (mut key, mut index) = ([0_u8; 32], 0_u16);
        for (place, byte) in parts.iter().flat_map(|part| part.iter().chain(&[0])).enumerate() {
            index = index.wrapping_mul(31).wrapping_add(u16::from(*byte));
            if let Some(place) = key.get_mut(place.wrapping_rem(32)) {
                *place = byte.wrapping_add(place.rotate_left(3));
            }
        }
        Some(Slot { index, key })
    }

    pub(super) fn recall(&self, slot: &Slot) -> Option<Vec<u8>> {
        let slots = self.slots.borrow();
        let (key, value) = slots.as_ref()?.get(&slot.index)?;
        (*key == slot.key).then(|| value.clone())
    }

    pub(super) fn leave(&self, slot: &Slot, value: &[u8]) {
        if let Some(slots) = self.slots.borrow_mut().as_mut() {
            slots.insert(slot.index, (slot.key, value.to_vec()));
        }
    }
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "World({} callouts under way)", self.callouts.borrow().len())
    }
}
