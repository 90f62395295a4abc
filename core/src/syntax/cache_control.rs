//! What an answer says of its own reuse: `cache-control` and `age` (RFC 9111 sections 5.1 and 5.2).

use core::fmt;

use super::field;

/// The directives of a response (RFC 9111 section 5.2.2) that matter to a cache which gives an answer
/// to none but those who asked for it.
///
/// `private` forbids such a cache nothing (section 5.2.2.7), `s-maxage`, `public` and
/// `proxy-revalidate` are for shared ones alone, and further directives may be ignored (section
/// 5.2.3): none of them is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// It is not to be stored.
    pub no_store: bool,
    /// It is not to be used without asking again; also where that is said of some fields only.
    pub no_cache: bool,
    /// It is not to be used once it is stale, not even where there is nothing better.
    pub must_revalidate: bool,
    /// How long it is fresh, in seconds from when it was made. 0 where that is said in an invalid way,
    /// or in two ways that differ: stale, as section 4.2.1 has it.
    pub max_age_s: Option<u64>,
}

impl CacheControl {
    /// Reads all field lines of `cache-control`, names in any case, arguments as tokens or quoted
    /// strings. What follows another grammar may mean anything, so it is an error.
    ///
    /// ```
    /// use pintle_core::syntax::cache_control::CacheControl;
    ///
    /// let lines = [&b"private=\"set-cookie, no-store\""[..], b"Max-Age=60, no-cache"];
    /// let directives = CacheControl::read(lines)?;
    /// assert_eq!((directives.max_age_s, directives.no_cache), (Some(60), true));
    /// assert!(!directives.no_store);
    /// # Ok::<(), pintle_core::syntax::cache_control::Malformed>(())
    /// ```
    pub fn read<'v>(lines: impl IntoIterator<Item = &'v [u8]>) -> Result<Self, Malformed> {
        let mut directives = Self::default();
        for mut rest in lines {
            while let Some(directive) = next(&mut rest)? {
                directives.take(directive);
            }
        }
        Ok(directives)
    }

    fn take(&mut self, Directive { name, argument }: Directive<'_>) {
        if name.eq_ignore_ascii_case(b"no-store") {
            self.no_store = true;
        } else if name.eq_ignore_ascii_case(b"no-cache") {
            self.no_cache = true;
        } else if name.eq_ignore_ascii_case(b"must-revalidate") {
            self.must_revalidate = true;
        } else if name.eq_ignore_ascii_case(b"max-age") {
            let seconds = argument.and_then(delta_seconds).unwrap_or(0);
            let differs = self.max_age_s.is_some_and(|earlier| earlier != seconds);
            self.max_age_s = Some(if differs { 0 } else { seconds });
        }
    }
}

/// How old an answer was when it was sent, in seconds: the first member of the first field line of
/// `age`, or 0 where there is none or it is invalid (RFC 9111 section 5.1).
pub fn age_s<'v>(lines: impl IntoIterator<Item = &'v [u8]>) -> u64 {
    let first = lines.into_iter().next();
    let member = first.and_then(|line| line.split(|&byte| byte == b',').next());
    member.and_then(|member| delta_seconds(field::trim(member))).unwrap_or(0)
}

/// Whole seconds (`delta-seconds`, RFC 9111 section 1.2.2), as many as there can be where there are
/// more.
pub fn delta_seconds(digits: &[u8]) -> Option<u64> {
    let wellformed = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    wellformed.then(|| {
        digits.iter().fold(0u64, |seconds, digit| {
            seconds.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
        })
    })
}

/// The field does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a list of directives")
    }
}

impl core::error::Error for Malformed {}

/// `cache-directive = token [ "=" ( token / quoted-string ) ]` (RFC 9111 section 5.2).
struct Directive<'v> {
    name: &'v [u8],
    /// What is between the quotes as it stands, quoted pairs and all: no argument that is looked
    /// into has a reason for one.
    argument: Option<&'v [u8]>,
}

/// Takes the next element of the list (RFC 9110 section 5.6.1.2: some may be empty).
fn next<'v>(rest: &mut &'v [u8]) -> Result<Option<Directive<'v>>, Malformed> {
    while let Some((b' ' | b'\t' | b',', after)) = rest.split_first() {
        *rest = after;
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let name = token(rest)?;
    let argument = match rest.split_first() {
        Some((b'=', after)) => {
            *rest = after;
            Some(match after.split_first() {
                Some((b'"', after)) => {
                    *rest = after;
                    quoted(rest)?
                }
                _ => token(rest)?,
            })
        }
        _ => None,
    };
    *rest = field::trim(rest);
    match rest.first() {
        None | Some(b',') => Ok(Some(Directive { name, argument })),
        Some(_) => Err(Malformed),
    }
}

/// Takes a `token` (RFC 9110 section 5.6.2).
fn token<'v>(rest: &mut &'v [u8]) -> Result<&'v [u8], Malformed> {
    let end = rest.iter().position(|&byte| !field::is_tchar(byte)).unwrap_or(rest.len());
    match rest.split_at_checked(end) {
        Some((token, after)) if !token.is_empty() => {
            *rest = after;
            Ok(token)
        }
        _ => Err(Malformed),
    }
}

/// Takes what is left of a `quoted-string` (RFC 9110 section 5.6.4) after its first quote.
fn quoted<'v>(rest: &mut &'v [u8]) -> Result<&'v [u8], Malformed> {
    let mut pair = false;
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            _ if !field::is_value_byte(byte) => return Err(Malformed),
            _ if pair => pair = false,
            b'\\' => pair = true,
            b'"' => {
                let (text, after) = rest.split_at_checked(at).ok_or(Malformed)?;
                *rest = after.split_first().map_or(after, |(_, after)| after);
                return Ok(text);
            }
            _ => {}
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests;
