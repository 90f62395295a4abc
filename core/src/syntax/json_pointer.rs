//! JSON pointers (RFC 6901).

use alloc::boxed::Box;
use core::fmt;

use serde_json::Value;

/// A place in a JSON document.
///
/// ```
/// use pintle_core::syntax::json_pointer::JsonPointer;
///
/// let document = serde_json::json!({"tokens": [{"a/b": "x"}]});
/// let pointer = JsonPointer::parse("/tokens/0/a~1b")?;
/// assert_eq!(pointer.look_up(&document).unwrap(), "x");
/// # Ok::<(), pintle_core::syntax::json_pointer::PointerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPointer(Box<str>);

impl JsonPointer {
    /// Reads the string form (RFC 6901 section 3): empty for the whole document, else a `/` before
    /// each token, in which `~` is `~0` and `/` is `~1`.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NoSlash);
        }
        // What follows the first `~`, and each further one.
        let mut escapes = text.split('~').skip(1);
        if !escapes.all(|escape| escape.starts_with(['0', '1'])) {
            return Err(PointerError::Escape);
        }
        Ok(Self(text.into()))
    }

    /// The value at this place (RFC 6901 section 4); `None` where there is none. An element of a list
    /// is named by its index from 0, without leading zeros; `-` names none.
    pub fn look_up<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        document.pointer(&self.0)
    }

    /// The string form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a JSON pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerError {
    /// It is neither empty nor begins with a slash.
    NoSlash,
    /// A `~` that neither `0` nor `1` follows.
    Escape,
}

impl fmt::Display for PointerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "a JSON pointer is empty or begins with a slash, as in /token",
            Self::Escape => "a `~` in a JSON pointer is written ~0, and a slash inside a name ~1",
        })
    }
}

impl core::error::Error for PointerError {}

#[cfg(test)]
mod tests {
    use alloc::format;

    use serde_json::json;

    use super::*;

    fn look_up<'v>(pointer: &str, document: &'v Value) -> Option<&'v Value> {
        JsonPointer::parse(pointer).unwrap().look_up(document)
    }

    /// RFC 6901 section 5.
    #[test]
    fn the_examples_of_the_rfc() {
        let document = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
            "k\"l": 6, " ": 7, "m~n": 8,
        });
        assert_eq!(look_up("", &document), Some(&document));
        for (pointer, expected) in [
            ("/foo", json!(["bar", "baz"])),
            ("/foo/0", json!("bar")),
            ("/", json!(0)),
            ("/a~1b", json!(1)),
            ("/c%d", json!(2)),
            ("/e^f", json!(3)),
            ("/g|h", json!(4)),
            ("/i\\j", json!(5)),
            ("/k\"l", json!(6)),
            ("/ ", json!(7)),
            ("/m~0n", json!(8)),
        ] {
            assert_eq!(look_up(pointer, &document), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn what_leads_nowhere() {
        let document = json!({"foo": ["a", {"b": "c"}], "s": "text", "~1": 1, "01": 2});
        for pointer in [
            "/bar",
            "/foo/2",
            "/foo/-",
            "/foo/-1",
            "/foo/00",
            "/foo/01",
            "/foo/+1",
            "/foo/ 1",
            "/foo/1e0",
            "/foo/",
            "/foo/99999999999999999999999",
            "/s/0",
            "/s/",
            "/foo/1/b/",
            "//foo",
            "/foo/",
        ] {
            assert_eq!(look_up(pointer, &document), None, "{pointer}");
        }
        assert_eq!(look_up("/foo/1/b", &document), Some(&json!("c")));
        // The order of section 4: `~01` is `~1`, not a slash.
        assert_eq!(look_up("/~01", &document), Some(&json!(1)));
        // A name that looks like an index is one in a list alone.
        assert_eq!(look_up("/01", &document), Some(&json!(2)));
    }

    #[test]
    fn what_is_no_pointer() {
        for (text, expected) in [
            ("foo", PointerError::NoSlash),
            ("#/foo", PointerError::NoSlash),
            (" /foo", PointerError::NoSlash),
            ("~0", PointerError::NoSlash),
            ("/~", PointerError::Escape),
            ("/a~", PointerError::Escape),
            ("/~2", PointerError::Escape),
            ("/~0~", PointerError::Escape),
            ("/~~0", PointerError::Escape),
            ("/a~/b", PointerError::Escape),
        ] {
            assert_eq!(JsonPointer::parse(text), Err(expected), "{text}");
            assert!(!format!("{expected}").contains(text));
        }
    }
}
