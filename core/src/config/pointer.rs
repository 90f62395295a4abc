//! Places in a JSON document (RFC 6901).

use alloc::string::{String, ToString};
use core::fmt::Write;

/// A place in the configuration, kept as a path from the root while the walk goes down.
#[derive(Clone, Copy, Debug)]
pub enum Pointer<'a> {
    /// The whole document.
    Root,
    /// A member of an object.
    Key(&'a Pointer<'a>, &'a str),
    /// An element of a list, from 0.
    Index(&'a Pointer<'a>, usize),
}

impl<'a> Pointer<'a> {
    /// The member `key` of the object at this place.
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The element `index` of the list at this place.
    pub const fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// As RFC 6901 writes it: `/filters/2/basic_auth/rules/0`; the root is the empty string.
    pub fn render(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => [parent.render(), segment(key)].concat(),
            Self::Index(parent, index) => {
                let mut text = parent.render();
                // Writing to a String cannot fail.
                let _ = write!(text, "/{index}");
                text
            }
        }
    }
}

/// One segment with its slash, `~` and `/` escaped; a hostile key is cut and made printable.
pub(super) fn segment(key: &str) -> String {
    const LONGEST: usize = 64;
    let mut text = "/".to_string();
    for c in key.chars().take(LONGEST) {
        match c {
            '~' => text.push_str("~0"),
            '/' => text.push_str("~1"),
            c if c.is_control() => text.push('?'),
            c => text.push(c),
        }
    }
    if key.chars().nth(LONGEST).is_some() {
        text.push_str("...");
    }
    text
}
