//! Header fields, lent to Envoy as an array.

use core::mem::MaybeUninit;

use crate::abi::{ModuleBuffer, ModuleHeader};

/// Lends `headers` to `call` as an array and its length; up to eight take no heap memory.
pub(crate) fn headers<'h, R>(
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    call: impl FnOnce(*mut ModuleHeader<'h>, usize) -> R,
) -> R {
    const INLINE: usize = 8;
    let mut inline = [MaybeUninit::<ModuleHeader<'h>>::uninit(); INLINE];
    let mut more = Vec::new();
    let mut count = 0_usize;
    for (key, value) in headers {
        let header = ModuleHeader { key: ModuleBuffer::new(key), value: ModuleBuffer::new(value) };
        match inline.get_mut(count) {
            Some(place) => {
                place.write(header);
            }
            None => {
                if more.is_empty() {
                    // SAFETY: the loop has written all of it.
                    more.extend(inline.iter().map(|place| unsafe { place.assume_init() }));
                }
                more.push(header);
            }
        }
        count += 1;
    }
    let first = if more.is_empty() { inline.as_mut_ptr().cast() } else { more.as_mut_ptr() };
    call(first, count)
}
