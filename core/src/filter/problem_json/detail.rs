//! The member `detail`.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

use crate::content::Content;

/// Where `detail` comes from.
pub(crate) enum Detail {
    /// The content of the response.
    Body(InvalidUtf8),
    /// There is none.
    None,
    /// Always this.
    Literal(Box<str>),
}

/// What becomes of content that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidUtf8 {
    /// U+FFFD in the place of what is not.
    Replace,
    /// There is no `detail`.
    Omit,
}

/// What stands behind a detail of which there was more.
pub(crate) const CUT_MARK: &str = " … (truncated)";

impl Detail {
    /// `content`: that of the response, if it can be read.
    pub(super) fn of<'a>(&'a self, content: Option<Content<'a>>) -> Option<Cow<'a, str>> {
        match self {
            Self::None => None,
            Self::Literal(text) => Some(Cow::Borrowed(text)),
            Self::Body(invalid) => text(content?, *invalid),
        }
    }
}

fn text(content: Content<'_>, invalid: InvalidUtf8) -> Option<Cow<'_, str>> {
    let Content { bytes, cut } = content;
    if bytes.is_empty() && !cut {
        return None;
    }
    let bytes = if cut { whole_characters(bytes) } else { bytes };
    let mut text = match (core::str::from_utf8(bytes), invalid) {
        (Ok(text), _) => Cow::Borrowed(text),
        (Err(_), InvalidUtf8::Replace) => String::from_utf8_lossy(bytes),
        (Err(_), InvalidUtf8::Omit) => return None,
    };
    if cut {
        text.to_mut().push_str(CUT_MARK);
    }
    Some(text)
}

/// Without the start of a character at the end, which the cut has left.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    // A character has at most four bytes, so its start is among the last three.
    let most = bytes.len().min(3);
    for left in 1..=most {
        let Some((whole, end)) = bytes.split_at_checked(bytes.len().saturating_sub(left)) else {
            break;
        };
        let incomplete = core::str::from_utf8(end)
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none());
        if incomplete {
            return whole;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], cut: bool, invalid: InvalidUtf8) -> Option<String> {
        text(Content { bytes, cut }, invalid).map(Cow::into_owned)
    }

    #[test]
    fn content_that_is_whole() {
        for invalid in [InvalidUtf8::Replace, InvalidUtf8::Omit] {
            assert_eq!(of(b"", false, invalid), None);
            assert_eq!(of("caf\u{e9}".as_bytes(), false, invalid).unwrap(), "caf\u{e9}");
        }
        assert_eq!(of(b"a\xffb", false, InvalidUtf8::Replace).unwrap(), "a\u{fffd}b");
        assert_eq!(of(b"a\xc3", false, InvalidUtf8::Replace).unwrap(), "a\u{fffd}");
        assert_eq!(of(b"a\xffb", false, InvalidUtf8::Omit), None);
    }

    #[test]
    fn a_cut_is_at_a_character_and_marked() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        for end in 1..text.len() {
            for invalid in [InvalidUtf8::Replace, InvalidUtf8::Omit] {
                let detail = of(&text[..end], true, invalid).unwrap();
                let (kept, _) = detail.split_at(detail.len() - CUT_MARK.len());
                assert!(core::str::from_utf8(text).unwrap().starts_with(kept));
                assert!(end - kept.len() < 4);
                assert!(detail.ends_with(CUT_MARK));
            }
        }
        assert_eq!(of(b"", true, InvalidUtf8::Replace).unwrap(), CUT_MARK);
        assert_eq!(of(b"a\xff", true, InvalidUtf8::Replace).unwrap(), "a\u{fffd} … (truncated)");
        assert_eq!(of(b"a\x80\x80\x80", true, InvalidUtf8::Omit), None);
    }
}
