//! The contract of `Host`, on the host in memory.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pintle_core::testing::{MemoryHost, Slots, World, contract};
use pintle_core::{Section, UnixTime};

#[test]
fn memory_keeps_the_contract() {
    contract::contract(|section, lines| match section {
        Section::Request => MemoryHost::new(lines),
        Section::Response => {
            let mut host = MemoryHost::new(Vec::new());
            host.response = lines;
            host
        }
    });
}

/// As a host that still has the request when the response comes, the native one among them.
#[test]
fn memory_keeps_the_contract_with_a_request_at_hand() {
    contract::contract(|section, lines| match section {
        Section::Request => MemoryHost::new(lines),
        Section::Response => {
            let mut host = MemoryHost::new(vec![(b":method".to_vec(), b"GET".to_vec())]);
            host.response = lines;
            host
        }
    });
}

#[test]
fn memory_keeps_the_contract_of_what_is_shared() {
    for slots in [None, Some(Slots::new())] {
        let mut world = World::with_stores(&[contract::store()]);
        (world.slots, world.now) = (RefCell::new(slots), Cell::new(UnixTime(1_000)));
        let (world, streams) = (Rc::new(world), Cell::new(0));
        contract::sharing(|| {
            let mut host = MemoryHost::new(Vec::new());
            (host.world, host.number) = (Rc::clone(&world), streams.get());
            streams.set(streams.get() + 1);
            host
        });
    }
}
