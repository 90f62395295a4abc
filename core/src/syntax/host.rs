//! Hosts, as requests name them and as conditions do: RFC 3986 section 3.2, RFC 9110 section 7.2.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// Writes the host of `authority` into `out`, in the one form that patterns are compared with.
///
/// ASCII lower case (RFC 3986 section 3.2.2), without what stands before the last `@` (3.2.1), the
/// port (3.2.3), the brackets of an IPv6 address and one dot at the end. An IPv6 address without
/// brackets, which no grammar has and clients send, has no port.
///
/// `out` is cleared first and keeps its capacity.
///
/// ```
/// use pintle_core::syntax::host::normalise;
///
/// let mut out = Vec::new();
/// assert_eq!(normalise(b"Example.COM.:8080", &mut out), b"example.com");
/// assert_eq!(normalise(b"[::1]:80", &mut out), b"::1");
/// ```
pub fn normalise<'a>(authority: &[u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let host = without_port(host);
    out.clear();
    out.extend_from_slice(host.strip_suffix(b".").unwrap_or(host));
    out.make_ascii_lowercase();
    out
}

/// Which hosts a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`: all.
    Any,
    /// This one.
    Exact(Box<[u8]>),
    /// `api.*`: those that begin like this.
    Prefix(Box<[u8]>),
    /// `*.example.com`: those that end like this.
    Suffix(Box<[u8]>),
}

impl HostPattern {
    /// Reads a host with at most one `*`, at its start or its end.
    ///
    /// The name is brought into the form that [`normalise`] gives to those it is compared with; an
    /// IPv6 address (RFC 3986 section 3.2.2) may stand with or without brackets.
    pub fn parse(text: &str) -> Result<Self, HostPatternError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (name, anchor) = match (text.strip_prefix('*'), text.strip_suffix('*')) {
            (Some(_), Some(_)) => return Err(HostPatternError::Star),
            (Some(name), None) => (name, Anchor::End),
            (None, Some(name)) => (name, Anchor::Start),
            (None, None) => (text, Anchor::Both),
        };
        let name = parse_name(name, anchor)?.to_ascii_lowercase().into_bytes().into_boxed_slice();
        Ok(match anchor {
            Anchor::Both => Self::Exact(name),
            Anchor::Start => Self::Prefix(name),
            Anchor::End => Self::Suffix(name),
        })
    }

    /// Whether `normalised`, which came from [`normalise`], is among them.
    pub fn matches(&self, normalised: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => normalised == &**name,
            Self::Prefix(name) => normalised.starts_with(name),
            Self::Suffix(name) => normalised.ends_with(name),
        }
    }
}

/// Why a text is not a [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPatternError {
    /// There is no name in it.
    Empty,
    /// A `*` inside, or more than one.
    Star,
    /// A port (RFC 3986 section 3.2.3), which is not compared.
    Port,
    /// Brackets that do not enclose an IPv6 address (RFC 3986 section 3.2.2).
    Brackets,
    /// A character that no host has: a space, a control character, or one of `/ \ ? # @`, with which
    /// another part of a URI begins (RFC 3986 section 3.2).
    InvalidCharacter,
}

impl fmt::Display for HostPatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a host is not empty",
            Self::Star => "a host has at most one *, at its start or its end",
            Self::Port => "a host stands without a port: ports are not compared",
            Self::Brackets => "brackets in a host enclose an IPv6 address",
            Self::InvalidCharacter => {
                "a host has no scheme, path or user, no space and no control character"
            }
        })
    }
}

impl core::error::Error for HostPatternError {}

/// Which end of a host a name is held against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Both,
    Start,
    End,
}

fn parse_name(name: &str, anchor: Anchor) -> Result<&str, HostPatternError> {
    if name.contains('*') {
        return Err(HostPatternError::Star);
    }
    if name.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"/\\?#@".contains(&byte)) {
        return Err(HostPatternError::InvalidCharacter);
    }
    let name =
        if name.contains(['[', ']']) { parse_brackets(name, anchor)? } else { parse_bare(name)? };
    // Half a name may end in a dot that is followed by more.
    let name = if anchor == Anchor::Start { name } else { name.strip_suffix('.').unwrap_or(name) };
    if name.is_empty() { Err(HostPatternError::Empty) } else { Ok(name) }
}

/// The address in brackets, one of which the `*` may stand for.
fn parse_brackets(name: &str, anchor: Anchor) -> Result<&str, HostPatternError> {
    let inside = match (name.strip_prefix('['), anchor) {
        (Some(inside), _) => inside,
        (None, Anchor::End) => name,
        (None, _) => return Err(HostPatternError::Brackets),
    };
    let address = match (inside.split_once(']'), anchor) {
        (Some((address, "")), _) => address,
        (Some((_, after)), _) if after.starts_with(':') => return Err(HostPatternError::Port),
        (None, Anchor::Start) => inside,
        _ => return Err(HostPatternError::Brackets),
    };
    if is_like_ipv6(address.as_bytes()) { Ok(address) } else { Err(HostPatternError::Brackets) }
}

fn parse_bare(name: &str) -> Result<&str, HostPatternError> {
    if without_port(name.as_bytes()).len() == name.len() {
        Ok(name)
    } else {
        Err(HostPatternError::Port)
    }
}

fn without_port(host: &[u8]) -> &[u8] {
    if let Some(inside) = host.strip_prefix(b"[") {
        let mut parts = inside.splitn(2, |byte| *byte == b']');
        return match (parts.next(), parts.next()) {
            (Some(address), Some(b"" | [b':', ..])) => address,
            _ => host,
        };
    }
    let mut parts = host.splitn(3, |byte| *byte == b':');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some(_), Some(_)) if is_like_ipv6(host) => host,
        (Some(name), ..) => name,
        (None, ..) => host,
    }
}

/// Whether the bytes are an IPv6 address or a part of one, as far as characters go; a zone may
/// follow (RFC 6874 section 2).
fn is_like_ipv6(bytes: &[u8]) -> bool {
    let address = bytes.split(|byte| *byte == b'%').next().unwrap_or_default();
    !address.is_empty()
        && address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
}

#[cfg(test)]
mod tests;
