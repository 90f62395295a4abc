//! Views of Envoy's memory.

use core::cell::Cell;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::abi::{FilterEnvoy, HeaderType, ModuleBuffer, RawEnvoyBuffer, RawEnvoyHeader};
use crate::callbacks;

/// Bytes that Envoy lends until the next `&mut` call on the handle that they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvoyBuffer<'a>(&'a [u8]);

impl<'a> EnvoyBuffer<'a> {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &'a [u8] {
        self.0
    }

    /// # Safety
    ///
    /// The bytes must stay for all of `'a`, see [`RawEnvoyBuffer::as_slice`].
    pub(crate) unsafe fn new(raw: RawEnvoyBuffer) -> Self {
        // SAFETY: passed on to the caller.
        Self(unsafe { raw.as_slice() })
    }
}

impl Deref for EnvoyBuffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl AsRef<[u8]> for EnvoyBuffer<'_> {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

/// The values of one field, in order; its length is known from the start.
///
/// A field that does not repeat costs one call into Envoy, a repeated one a call per value.
#[derive(Clone, Debug)]
pub struct HeaderValues<'a> {
    filter: FilterEnvoy,
    map: HeaderType,
    key: &'a [u8],
    next: Option<EnvoyBuffer<'a>>,
    index: usize,
    count: usize,
}

impl<'a> HeaderValues<'a> {
    /// # Safety
    ///
    /// `filter` is the Envoy object of the running hook, and no setter is called on it during `'a`.
    #[inline]
    pub(crate) unsafe fn new(filter: FilterEnvoy, map: HeaderType, key: &'a [u8]) -> Self {
        let mut count = 0;
        // SAFETY: passed on to the caller.
        let next = unsafe { value_at(filter, map, key, 0, &mut count) };
        Self {
            filter,
            map,
            key,
            next,
            index: 0,
            count: if next.is_some() { count.max(1) } else { 0 },
        }
    }
}

impl<'a> Iterator for HeaderValues<'a> {
    type Item = EnvoyBuffer<'a>;

    #[inline]
    fn next(&mut self) -> Option<EnvoyBuffer<'a>> {
        let value = self.next.take()?;
        self.index += 1;
        if self.index < self.count {
            // SAFETY: the promises of `new` hold for 'a.
            self.next =
                unsafe { value_at(self.filter, self.map, self.key, self.index, &mut self.count) };
        }
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.next.is_some() { self.count - self.index } else { 0 };
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeaderValues<'_> {}
impl FusedIterator for HeaderValues<'_> {}

/// Value number `index` of a field, and how many there are.
///
/// # Safety
///
/// As for [`HeaderValues::new`].
#[inline]
pub(crate) unsafe fn value_at<'a>(
    filter: FilterEnvoy,
    map: HeaderType,
    key: &[u8],
    index: usize,
    count: &mut usize,
) -> Option<EnvoyBuffer<'a>> {
    let mut value = RawEnvoyBuffer::EMPTY;
    // SAFETY: all pointers are to locals; the caller vouches for `filter`.
    let found = unsafe {
        callbacks::get_header(
            filter,
            map.number(),
            ModuleBuffer::new(key),
            &mut value,
            index,
            count,
        )
    };
    // SAFETY: lent until a setter is called or the hook ends, which the caller excludes for 'a.
    found.then(|| unsafe { EnvoyBuffer::new(value) })
}

/// All fields of one section, in order, names in lower case.
///
/// The list of pointers lives in memory that its thread keeps for the next one.
#[derive(Debug)]
pub struct HeaderList<'a> {
    fields: Vec<RawEnvoyHeader>,
    index: usize,
    lent: PhantomData<&'a [u8]>,
}

/// A worker keeps at most a list of this many fields (32 bytes each) for the next use.
const MOST_FIELDS_KEPT: usize = 1024;

thread_local! {
    static SPARE: Cell<Vec<RawEnvoyHeader>> = const { Cell::new(Vec::new()) };
}

impl HeaderList<'_> {
    /// # Safety
    ///
    /// As for [`HeaderValues::new`].
    pub(crate) unsafe fn new(filter: FilterEnvoy, map: HeaderType) -> Self {
        // SAFETY: the caller vouches for `filter`.
        let size = unsafe { callbacks::get_headers_size(filter, map.number()) };
        let mut fields = SPARE.try_with(Cell::take).unwrap_or_default();
        fields.clear();
        if size != 0 {
            fields.reserve(size);
            // SAFETY: there is room for `size` fields, and no setter ran since the host counted them.
            if unsafe { callbacks::get_headers(filter, map.number(), fields.as_mut_ptr()) } {
                // SAFETY: the host has written all of them.
                unsafe { fields.set_len(size) };
            }
        }
        Self { fields, index: 0, lent: PhantomData }
    }
}

impl<'a> Iterator for HeaderList<'a> {
    type Item = (EnvoyBuffer<'a>, EnvoyBuffer<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.get(self.index)?;
        self.index += 1;
        // SAFETY: lent until a setter is called or the hook ends, which `new` excludes for 'a.
        Some(unsafe { (EnvoyBuffer::new(field.key), EnvoyBuffer::new(field.value)) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.fields.len() - self.index;
        (left, Some(left))
    }
}

impl ExactSizeIterator for HeaderList<'_> {}
impl FusedIterator for HeaderList<'_> {}

impl Drop for HeaderList<'_> {
    fn drop(&mut self) {
        let fields = core::mem::take(&mut self.fields);
        if fields.capacity() <= MOST_FIELDS_KEPT {
            // At the end of a thread there is nothing to keep it in.
            let _ = SPARE.try_with(|spare| spare.set(fields));
        }
    }
}
