//! The contract of what streams have in common: callouts, stores and slots.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::corpus::{NO_CLUSTER, NOWHERE};
use crate::callout::{Callout, DispatchError, Errand};
use crate::config::HashKey;
use crate::host::{Host, UnixTime};
use crate::store::{Asked, Key, Limits, Shard, StoreId, StoreSpec, Verdict};

/// The one store of the hosts that [`sharing`] is given.
pub const fn store() -> StoreSpec {
    let limits = Limits { entries: 1_000, bytes: 1 << 20, waiters: 4 };
    StoreSpec { filter: String::new(), fingerprint: *b"the contract of Host, a store.  ", limits }
}

/// All of the contract about what streams share.
///
/// `make` gives hosts of different streams, of one policy and, where it matters, of one worker: in the
/// event of a request that has just arrived. Their only store is [`store`]; nothing is in it before.
/// The cluster [`NO_CLUSTER`] is unknown, [`NOWHERE`] is not, whether or not a callout to it gets out.
///
/// # Panics
///
/// Where the host breaks it.
pub fn sharing<H: Host>(make: impl Fn() -> H) {
    callouts_have_ids_of_their_own(&make);
    an_unknown_cluster_is_an_error(&make);
    work_is_done_at_once_and_once(&make);
    streams_find_the_same_shard(&make);
    a_waker_can_be_made_in_a_shard(&make);
    slots_give_back_what_was_left(&make);
    time_does_not_go_back(&make);
}

const STORE: StoreId = StoreId(0);
const NOW: UnixTime = UnixTime(1_000);
const DEADLINE: UnixTime = UnixTime(2_000);

/// A callout to a cluster.
pub(super) const fn callout<'c>(cluster: &'c str, body: &'c [u8]) -> Callout<'c> {
    const FIELDS: &[(&[u8], &[u8])] = &[
        (b":method", b"GET"),
        (b":path", b"/token"),
        (b":authority", b"auth.example"),
        (b"accept", b"*/*"),
    ];
    Callout { cluster, fields: FIELDS, body, timeout_ms: 1_000 }
}

fn callouts_have_ids_of_their_own<H: Host>(make: impl Fn() -> H) {
    // Each stream hears of its own alone, so two of them may have the same.
    for host in [make(), make()] {
        let mut ids = Vec::new();
        for body in [&b""[..], b"content", b""] {
            ids.extend(host.dispatch(&callout(NOWHERE, body)).ok());
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id twice");
    }
}

fn an_unknown_cluster_is_an_error<H: Host>(make: impl Fn() -> H) {
    let host = make();
    let unknown = callout(NO_CLUSTER, b"");
    assert_eq!(host.dispatch(&unknown).err(), Some(DispatchError::NoCluster));
    // A host that has another thread send it says so later, by a failure.
    let sent = host.send_out(&unknown, Errand::new(()));
    assert!(matches!(sent, Ok(()) | Err(DispatchError::NoCluster)), "{sent:?}");
}

fn work_is_done_at_once_and_once<H: Host>(make: impl Fn() -> H) {
    let (host, mut times) = (make(), 0_u8);
    for hash in [0, 1, u64::MAX, 0x8000_0000_0000_0000] {
        let given = host.shared(STORE, hash, |_| {
            times = times.saturating_add(1);
            times
        });
        assert_eq!(given, times, "the result is that of the work");
    }
    assert_eq!(times, 4);
}

/// Who asks second waits for who asked first, whichever stream it is.
fn streams_find_the_same_shard<H: Host>(make: impl Fn() -> H) {
    let (leader, follower) = (make(), make());
    for n in 0_u8..32 {
        let key = key(&[b"the same shard", &[n]]);
        let ask = |host: &H| {
            let waker = || host.waker();
            host.shared(STORE, key.hash(), |shard| shard.ask(key, NOW, DEADLINE, waker))
        };
        let lead = match ask(&leader) {
            Asked::Lead(ticket) => Some(ticket),
            _ => None,
        };
        assert!(lead.is_some(), "the first one leads, key {n}");
        assert!(matches!(ask(&follower), Asked::Wait(_)), "the second one waits, key {n}");
        let landed = lead.map(|lead| {
            let work = |shard: &mut Shard<H::Waker>| shard.land(lead, Verdict::Unusable, None, NOW);
            leader.shared(STORE, key.hash(), work)
        });
        let wake = landed.map(|landed| landed.wake).unwrap_or_default();
        assert_eq!(wake.len(), 1, "key {n}");
        wake.into_iter().for_each(|waker| leader.wake(waker));
    }
}

fn a_waker_can_be_made_in_a_shard<H: Host>(make: impl Fn() -> H) {
    let host = make();
    let waker = host.shared(STORE, 7, |_| host.waker());
    host.wake(waker);
    host.wake(make().waker());
}

fn slots_give_back_what_was_left<H: Host>(make: impl Fn() -> H) {
    let (one, other) = (make(), make());
    let parts: [&[u8]; 3] = [b"a contract", b"a credential", b"a field"];
    let Some(slot) = one.slot(&parts) else {
        return assert!(other.slot(&[]).is_none(), "slots are there for all or for none");
    };
    assert!(one.recall(&slot).is_none(), "nothing was left");
    for value in [&[7; 300][..], b"shorter", b"a"] {
        one.leave(&slot, value);
        for host in [&one, &other] {
            let same = host.slot(&parts).and_then(|slot| host.recall(&slot));
            assert_eq!(same.as_deref(), Some(value));
        }
    }
    let others: [&[&[u8]]; 6] = [
        &[],
        &[b"a contract"],
        &[b"a contract", b"a credential"],
        &[b"a contract", b"a credentia", b"la field"],
        &[b"a credential", b"a contract", b"a field"],
        &[b"a contract", b"a credential", b"a field", b""],
    ];
    for parts in others {
        let slot = other.slot(parts);
        assert!(slot.is_some());
        assert_eq!(slot.and_then(|slot| other.recall(&slot)), None, "{parts:?}");
    }
}

fn time_does_not_go_back<H: Host>(make: impl Fn() -> H) {
    let hosts = [make(), make()];
    let times: Vec<UnixTime> = hosts.iter().chain(&hosts).map(Host::now).collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn key(parts: &[&[u8]]) -> Key {
    Key::of(HashKey::new([7; 16]), parts.iter().copied())
}
