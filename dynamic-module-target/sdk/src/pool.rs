//! Memory for per-stream objects: each worker keeps what its past streams have used.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr;
use std::alloc::{alloc, dealloc, handle_alloc_error};

/// A worker keeps at most this many free blocks: as many as it had streams at once, up to here.
const MOST_KEPT: usize = 256;

struct Pool {
    /// Of all its blocks. A module has one type of filter, so one layout is enough; memory of
    /// another one passes by.
    layout: Cell<Layout>,
    first: Cell<*mut Free>,
    kept: Cell<usize>,
}

struct Free {
    next: *mut Free,
}

thread_local! {
    static POOL: Pool = const {
        Pool {
            layout: Cell::new(Layout::new::<Free>()),
            first: Cell::new(ptr::null_mut()),
            kept: Cell::new(0),
        }
    };
}

/// Memory for a `T`.
pub(crate) fn take<T>() -> *mut T {
    let layout = const { block_layout::<T>() };
    let kept = POOL.try_with(|pool| pool.pop(layout)).unwrap_or(ptr::null_mut());
    if !kept.is_null() {
        return kept.cast();
    }
    // SAFETY: the layout has the size of a pointer at least.
    let new = unsafe { alloc(layout) };
    if new.is_null() {
        handle_alloc_error(layout);
    }
    new.cast()
}

/// Takes the memory of a `T` back.
///
/// # Safety
///
/// `block` comes from [`take`] of the same type, and nothing uses it any more.
pub(crate) unsafe fn give<T>(block: *mut T) {
    let layout = const { block_layout::<T>() };
    // SAFETY: passed on to the caller.
    let kept = POOL.try_with(|pool| unsafe { pool.push(layout, block.cast()) }).unwrap_or(false);
    if !kept {
        // SAFETY: `take` allocated it with this layout.
        unsafe { dealloc(block.cast(), layout) };
    }
}

/// Room for a `T`, and for the link of a free block.
const fn block_layout<T>() -> Layout {
    let (own, link) = (Layout::new::<T>(), Layout::new::<Free>());
    let size = if own.size() > link.size() { own.size() } else { link.size() };
    let align = if own.align() > link.align() { own.align() } else { link.align() };
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout.pad_to_align(),
        Err(_) => panic!("no room for such a type"),
    }
}

impl Pool {
    fn pop(&self, layout: Layout) -> *mut Free {
        let first = self.first.get();
        if first.is_null() || self.layout.get() != layout {
            return ptr::null_mut();
        }
        // SAFETY: blocks in the list are free, allocated, and start with an initialised link.
        self.first.set(unsafe { (*first).next });
        self.kept.set(self.kept.get() - 1);
        first
    }

    /// # Safety
    ///
    /// `block` was allocated with `layout`, which has room for a [`Free`], and nothing uses it.
    unsafe fn push(&self, layout: Layout, block: *mut Free) -> bool {
        if self.first.get().is_null() {
            self.layout.set(layout);
        }
        if self.layout.get() != layout || self.kept.get() >= MOST_KEPT {
            return false;
        }
        // SAFETY: passed on to the caller.
        unsafe { block.write(Free { next: self.first.get() }) };
        self.first.set(block);
        self.kept.set(self.kept.get() + 1);
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let layout = self.layout.get();
        loop {
            let block = self.pop(layout);
            if block.is_null() {
                return;
            }
            // SAFETY: all blocks of the list were allocated with this layout.
            unsafe { dealloc(block.cast(), layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again() {
        let first = take::<[u64; 4]>();
        // SAFETY: taken above.
        unsafe { give(first) };
        let second = take::<[u64; 4]>();
        assert_eq!(first, second);
        let third = take::<[u64; 4]>();
        assert_ne!(second, third);
        // SAFETY: taken above.
        unsafe { (give(second), give(third)) };
    }

    #[test]
    fn layouts_do_not_mix_and_small_types_have_room() {
        let (byte, word) = (take::<u8>(), take::<[u64; 9]>());
        // SAFETY: taken above.
        unsafe { (give(byte), give(word)) };
        let (word, byte) = (take::<[u64; 9]>(), take::<u8>());
        // SAFETY: taken above; writable over their whole size.
        unsafe {
            word.write([7; 9]);
            byte.write(7);
            give(word);
            give(byte);
        }
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let blocks: Vec<_> = (0..MOST_KEPT + 10).map(|_| take::<[u64; 2]>()).collect();
        for block in blocks {
            // SAFETY: taken above.
            unsafe { give(block) };
        }
        assert_eq!(POOL.with(|pool| pool.kept.get()), MOST_KEPT);
    }
}
