//! The ABI's list of pairs: header fields, read where the host put them.
//!
//! All numbers are 32 bits, little-endian: the count of pairs; for each pair the length of its name
//! and of its value; then for each pair the name, NUL, the value, NUL. A map that is not there comes
//! as no bytes at all and reads as an empty list.
//!
//! There is no index and no copy. The lengths are checked once, as a sum, before anything is read:
//! a list that is not whole is refused, since a field that goes unseen is a check that goes undone.

use std::fmt;

/// The most pairs that Envoy accepts in one list; it takes a longer one for an empty one.
pub const MAX_PAIRS: usize = 1024;

/// The most bytes that Envoy accepts as one list; it takes a longer one for an empty one.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Bytes of the two lengths of one pair.
const LENGTHS_BYTES: usize = 8;

/// Bytes of the two NULs of one pair.
const NULS_BYTES: usize = 2;

/// Not a whole list of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed list of pairs")
    }
}

impl std::error::Error for Malformed {}

/// A list that the host would take for an empty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversized {
    /// More than [`MAX_PAIRS`] pairs.
    Pairs,
    /// More than [`MAX_BYTES`] bytes.
    Bytes,
}

impl fmt::Display for Oversized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pairs => write!(f, "more than {MAX_PAIRS} fields"),
            Self::Bytes => write!(f, "more than {MAX_BYTES} bytes of fields"),
        }
    }
}

impl std::error::Error for Oversized {}

/// A list of pairs, names as the host gives them: Envoy's are lower-case.
///
/// ```
/// # use pintle_wasm::pairs::{self, Pairs};
/// let mut bytes = Vec::new();
/// pairs::write([(&b":path"[..], &b"/"[..]), (b"accept", b"*/*")].into_iter(), &mut bytes).unwrap();
/// let pairs = Pairs::parse(&bytes).unwrap();
/// assert_eq!(pairs.values(b"accept").collect::<Vec<_>>(), [b"*/*"]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs<'a> {
    /// Per pair the length of the name, in the low half, and of the value.
    lengths: &'a [[u8; LENGTHS_BYTES]],
    /// As long as `lengths` says.
    data: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// Checks the lengths; whether the NULs are NULs does not matter to anyone.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let (count, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
        let count = usize::try_from(u32::from_le_bytes(*count)).map_err(|_| Malformed)?;
        let lengths = count.checked_mul(LENGTHS_BYTES).ok_or(Malformed)?;
        let (lengths, data) = rest.split_at_checked(lengths).ok_or(Malformed)?;
        let (lengths, _) = lengths.as_chunks();
        // Each pair adds less than 2^34 and there are less than 2^29 per 4 GiB: no overflow.
        let sum = lengths.iter().fold(0_u64, |sum, lengths| {
            let lengths = u64::from_le_bytes(*lengths);
            sum.wrapping_add(lengths & u64::from(u32::MAX))
                .wrapping_add(lengths >> 32)
                .wrapping_add(NULS_BYTES as u64)
        });
        if usize::try_from(sum) == Ok(data.len()) {
            Ok(Self { lengths, data })
        } else {
            Err(Malformed)
        }
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// There are none, or there is no such map.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// All pairs in order, repeats kept.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter { lengths: self.lengths.iter(), data: self.data }
    }

    /// The values of the pairs whose name is `name`, byte for byte, in order.
    #[must_use]
    pub fn values<'n>(&self, name: &'n [u8]) -> Values<'a, 'n> {
        Values { name, lengths: self.lengths.iter(), data: self.data, at: 0 }
    }
}

impl<'a> IntoIterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The pairs of [`Pairs::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    lengths: std::slice::Iter<'a, [u8; LENGTHS_BYTES]>,
    data: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = split(*self.lengths.next()?);
        let (name, rest) = self.data.split_at_checked(name)?;
        let (value, rest) = rest.get(1..)?.split_at_checked(value)?;
        self.data = rest.get(1..)?;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.lengths.size_hint()
    }
}

/// The values of [`Pairs::values`].
#[derive(Clone, Debug)]
pub struct Values<'a, 'n> {
    name: &'n [u8],
    lengths: std::slice::Iter<'a, [u8; LENGTHS_BYTES]>,
    data: &'a [u8],
    /// Where the next pair starts in `data`.
    at: usize,
}

impl<'a> Iterator for Values<'a, '_> {
    type Item = &'a [u8];

    /// A pair whose name has another length costs one load and no look at `data`: this loop runs
    /// over all fields of a request for each field that a filter asks for.
    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        for lengths in self.lengths.by_ref() {
            let (name, value) = split(*lengths);
            let start = self.at;
            // No overflow: `parse` has seen the sum of all of them fit.
            self.at = start.wrapping_add(name).wrapping_add(value).wrapping_add(NULS_BYTES);
            if name == self.name.len() {
                let (found, rest) = self.data.get(start..)?.split_at_checked(name)?;
                if found == self.name {
                    return rest.get(1..)?.get(..value);
                }
            }
        }
        None
    }
}

/// Serialises `pairs` into `out`, whose former content goes. What the host would take for an empty
/// list is refused; `out` is then empty.
pub fn write<'p>(
    pairs: impl Iterator<Item = (&'p [u8], &'p [u8])> + Clone,
    out: &mut Vec<u8>,
) -> Result<(), Oversized> {
    out.clear();
    let mut count = 0_usize;
    let mut bytes = 4_usize;
    for (name, value) in pairs.clone() {
        count = count.saturating_add(1);
        bytes = [LENGTHS_BYTES, NULS_BYTES, name.len(), value.len()]
            .into_iter()
            .fold(bytes, usize::saturating_add);
    }
    if count > MAX_PAIRS {
        return Err(Oversized::Pairs);
    }
    if bytes > MAX_BYTES {
        return Err(Oversized::Bytes);
    }
    out.reserve(bytes);
    out.extend_from_slice(&number(count));
    for (name, value) in pairs.clone() {
        out.extend_from_slice(&number(name.len()));
        out.extend_from_slice(&number(value.len()));
    }
    for (name, value) in pairs {
        out.extend_from_slice(name);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    }
    Ok(())
}

/// Name and value length. Neither is cut on a 32-bit machine, and 64 bits hold both.
#[inline]
fn split(lengths: [u8; LENGTHS_BYTES]) -> (usize, usize) {
    let lengths = u64::from_le_bytes(lengths);
    ((lengths & u64::from(u32::MAX)) as usize, (lengths >> 32) as usize)
}

/// A length or count that is known to be at most [`MAX_BYTES`].
fn number(n: usize) -> [u8; 4] {
    (n as u32).to_le_bytes()
}

#[cfg(test)]
mod tests;
