//! The contract of `Host`, on the host in memory.

use pintle_core::Section;
use pintle_core::testing::{MemoryHost, contract};

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
