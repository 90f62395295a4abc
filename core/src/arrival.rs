//! Host, path and method of a request as they arrived.

use alloc::vec::Vec;

use crate::fields::FieldName;
use crate::host::{Host, Section};
use crate::syntax::host as authority;
use crate::syntax::path::{EncodedSlash, Forms, PathError};

/// Host, path and method as they arrived, kept so that no edit of an earlier filter changes what a
/// later condition sees. Buffers are reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    method: Vec<u8>,
    host: Vec<u8>,
    forms: Forms,
    path_error: Option<PathError>,
}

/// Which parts of the arrival some condition of the policy looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct Looks {
    pub(crate) method: bool,
    pub(crate) host: bool,
    pub(crate) path: bool,
}

impl Looks {
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            method: self.method || other.method,
            host: self.host || other.host,
            path: self.path || other.path,
        }
    }
}

impl Arrival {
    #[inline]
    pub(crate) fn read<H: Host>(&mut self, host: &H, looks: Looks, encoded_slash: EncodedSlash) {
        let first = |name| host.values(Section::Request, name).next().unwrap_or_default();
        if looks.method {
            self.method.clear();
            self.method.extend_from_slice(first(FieldName::METHOD));
        }
        if looks.host {
            authority::normalise(first(FieldName::AUTHORITY), &mut self.host);
        }
        if looks.path {
            self.path_error = self.forms.compute(first(FieldName::PATH), encoded_slash).err();
        }
    }

    pub(crate) fn method(&self) -> &[u8] {
        &self.method
    }

    /// In lower case, without a port.
    pub(crate) fn host(&self) -> &[u8] {
        &self.host
    }

    /// The forms of the path, as it came first; one alone for an ordinary path, and for an invalid
    /// one.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.forms.iter()
    }

    /// Why the path has no normalised form.
    pub(crate) fn path_error(&self) -> Option<PathError> {
        self.path_error
    }
}
