//! Prefixes of URLs, by which the custom-errors plug-in chooses requests.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The start of `scheme://authority/path`, or of `authority/path`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UrlPrefix {
    has_scheme: bool,
    /// Scheme and authority in lower case (RFC 3986 section 6.2.2.1).
    text: Box<[u8]>,
}

const AFTER_SCHEME: &[u8] = b"://";

impl UrlPrefix {
    /// `None` where no URL starts like this. The empty prefix is that of all.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        let authority = after_scheme(text);
        let has_scheme = authority.is_some();
        let authority = authority.unwrap_or(text);
        let scheme = text.split_at_checked(text.len().saturating_sub(authority.len()))?.0;
        let known = [&b""[..], b"http://", b"https://"];
        if !known.iter().any(|known| scheme.eq_ignore_ascii_case(known))
            || matches!(authority.first(), Some(b'/' | b':' | b'?'))
            || !text.iter().all(u8::is_ascii_graphic)
        {
            return None;
        }
        let path = authority.iter().position(|byte| *byte == b'/').unwrap_or(authority.len());
        let path = text.len().saturating_sub(authority.len()).saturating_add(path);
        let (start, path) = text.split_at_checked(path)?;
        let text = [&*start.to_ascii_lowercase(), path].concat().into();
        Some(Self { has_scheme, text })
    }

    /// Whether a URL that was [written](write) starts with it.
    pub(crate) fn matches(&self, url: &[u8]) -> bool {
        let url = if self.has_scheme { url } else { after_scheme(url).unwrap_or(url) };
        url.starts_with(&self.text)
    }
}

/// Writes the URL of a request, scheme and authority in lower case.
pub(crate) fn write(scheme: &[u8], authority: &[u8], path: &[u8], url: &mut Vec<u8>) {
    url.clear();
    url.extend(scheme.iter().map(u8::to_ascii_lowercase));
    url.extend_from_slice(AFTER_SCHEME);
    url.extend(authority.iter().map(u8::to_ascii_lowercase));
    url.extend_from_slice(path);
}

fn after_scheme(url: &[u8]) -> Option<&[u8]> {
    let scheme =
        url.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let (scheme, rest) = url.split_at_checked(scheme.count())?;
    if scheme.is_empty() { None } else { rest.strip_prefix(AFTER_SCHEME) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(prefix: &str, authority: &str, path: &str) -> bool {
        let mut url = Vec::new();
        write(b"http", authority.as_bytes(), path.as_bytes(), &mut url);
        UrlPrefix::parse(prefix).unwrap().matches(&url)
    }

    #[test]
    fn prefixes_with_and_without_a_scheme() {
        for prefix in [
            "",
            "a",
            "http://",
            "HTTP://API.example:8080",
            "http://api.example:8080/v1",
            "api.example",
            "Api.Example:8080/v1/x?y",
        ] {
            assert!(matches(prefix, "API.Example:8080", "/v1/x?y=1"), "{prefix}");
        }
        for prefix in [
            "https://api.example",
            "http://api.example:8080/V1",
            "example:8080",
            "api.example:80/",
            "http://other",
        ] {
            assert!(!matches(prefix, "API.Example:8080", "/v1/x?y=1"), "{prefix}");
        }
        // Nothing in the path or the query makes it another host's.
        assert!(!matches("api.example/v1", "other", "/http://api.example/v1"));
        assert!(!matches("http://api.example", "other", "/?u=http://api.example/"));
    }

    #[test]
    fn what_no_url_starts_with_is_refused() {
        for odd in ["/api", "://a", "?a", "ftp://a", "http:///api", "a b", "caf\u{e9}", "a\n"] {
            assert_eq!(UrlPrefix::parse(odd), None, "{odd:?}");
        }
    }
}
