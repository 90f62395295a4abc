//! A request, and what it was answered with.

use std::collections::BTreeMap;

use super::{Fields, fields};
use crate::abi::AttributeId;

/// A request that is about to arrive.
#[derive(Clone, Debug, Default)]
pub struct FakeRequest {
    pub(super) headers: Fields,
    pub(super) strings: BTreeMap<AttributeId, Vec<u8>>,
    pub(super) ints: BTreeMap<AttributeId, u64>,
    pub(super) bools: BTreeMap<AttributeId, bool>,
}

/// What a module answered a request with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// Status code.
    pub status: u32,
    /// Header fields, names in lower case.
    pub headers: Fields,
    /// Body; empty if there is none.
    pub body: Vec<u8>,
    /// Response-code details.
    pub details: String,
}

impl FakeRequest {
    /// A request with these fields, pseudo-headers among them; names become lower case, and `host`
    /// becomes `:authority`.
    #[must_use]
    pub fn new<K: AsRef<[u8]>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (K, V)>) -> Self {
        Self { headers: fields(headers), ..Self::default() }
    }

    /// With an attribute that is text. `request.*` that are not given are taken from the fields.
    #[must_use]
    pub fn attribute(mut self, id: AttributeId, value: impl AsRef<[u8]>) -> Self {
        self.strings.insert(id, value.as_ref().to_vec());
        self
    }

    /// With an attribute that is a number.
    #[must_use]
    pub fn attribute_int(mut self, id: AttributeId, value: u64) -> Self {
        self.ints.insert(id, value);
        self
    }

    /// With an attribute that is true or false.
    #[must_use]
    pub fn attribute_bool(mut self, id: AttributeId, value: bool) -> Self {
        self.bools.insert(id, value);
        self
    }
}
