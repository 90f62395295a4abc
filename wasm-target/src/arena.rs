//! The scratch memory for what the host returns.
//!
//! Envoy answers a call that returns bytes by entering the module again, through the exported
//! allocator, and writing what it has to the address it gets. All of that ends with the callback, so
//! one arena per VM serves: the allocator only moves a pointer, and the end of the callback moves it
//! back. No byte is copied again.
//!
//! **Who may read what.** Views (`&'e [u8]`, made in [`crate::abi`]) borrow from an [`Event`], the
//! token that an export makes once per callback. Memory is used again only when the last `Event` is
//! gone, and an `Event` cannot go while a view borrows from it, so a view that outlives its callback
//! does not compile:
//!
//! ```compile_fail,E0505
//! # use pintle_wasm::{abi, arena::Event};
//! let event = Event::begin();
//! let view = abi::property(&event, b"plugin_name");
//! drop(event);
//! println!("{view:?}");
//! ```
//!
//! Nested events (an old host may call back from inside a host call) share the memory until the
//! outermost one ends; an event that is leaked keeps it for good, which costs memory and is sound.
//!
//! The allocator runs in the middle of our own host calls, so nothing here takes part in any other
//! borrow: the state is a handful of `Cell`s, and there is no unsafe code in this file.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::null_mut;

/// Size of the first chunk in bytes: the pair list of an ordinary request takes one to two KiB, and
/// this memory exists once per VM, of which there are as many as workers, plus two.
const FIRST_BYTES: usize = 8 * 1024;

/// The most that is kept from one event to the next, in bytes: four times the 60 KiB of header
/// fields that Envoy lets through by default. What is larger was one body or one configuration.
const KEEP_BYTES: usize = 256 * 1024;

/// Allocations start at multiples of this many bytes, as a host may expect of an allocator.
const ALIGN_BYTES: usize = size_of::<u64>();

thread_local! {
    static ARENA: Arena = const { Arena::new() };
}

/// One callback of the host, from entry to return: what the host lends in it lives as long as this.
///
/// Bound to its thread, since the arena is.
#[derive(Debug)]
#[must_use = "views borrow from the event, and the arena is reused when it is dropped"]
pub struct Event {
    thread: PhantomData<*mut ()>,
}

impl Event {
    /// Starts an event. An export does this first, once.
    pub fn begin() -> Self {
        // Where it fails the thread is ending and the arena with it: allocations fail as well then.
        let _ = ARENA.try_with(Arena::enter);
        Self { thread: PhantomData }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = ARENA.try_with(Arena::leave);
    }
}

/// Memory for `size` bytes that the host will write, valid until the last [`Event`] of this thread
/// ends; null when there is none left. For the exported allocator and the fake host.
///
/// The bytes are initialised, and no view covers them yet.
#[must_use]
pub fn allocate(size: usize) -> *mut u8 {
    ARENA.try_with(|arena| arena.allocate(size)).unwrap_or(null_mut())
}

struct Arena {
    /// All memory of this event; the last chunk is being filled. A `Vec`, not a `Box`, since moving
    /// a `Box` asserts that nobody else points into it.
    chunks: Cell<Vec<Vec<u64>>>,
    /// The chunk that remains when nothing had to grow, as address and bytes.
    start: Cell<*mut u8>,
    whole: Cell<usize>,
    /// The free part of the last chunk, as address and bytes.
    next: Cell<*mut u8>,
    left: Cell<usize>,
    /// A chunk was added since the last reset.
    grown: Cell<bool>,
    /// Events that have begun and not ended. 64 bits: leaking events cannot wrap it around.
    events: Cell<u64>,
}

impl Arena {
    const fn new() -> Self {
        Self {
            chunks: Cell::new(Vec::new()),
            start: Cell::new(null_mut()),
            whole: Cell::new(0),
            next: Cell::new(null_mut()),
            left: Cell::new(0),
            grown: Cell::new(false),
            events: Cell::new(0),
        }
    }

    fn enter(&self) {
        self.events.set(self.events.get().saturating_add(1));
    }

    fn leave(&self) {
        let events = self.events.get().saturating_sub(1);
        self.events.set(events);
        if events == 0 {
            self.reset();
        }
    }

    fn allocate(&self, size: usize) -> *mut u8 {
        let Some(size) = size.max(1).checked_next_multiple_of(ALIGN_BYTES) else {
            return null_mut();
        };
        let Some(left) = self.left.get().checked_sub(size) else {
            return self.grow(size);
        };
        let address = self.next.get();
        self.next.set(address.wrapping_add(size));
        self.left.set(left);
        address
    }

    /// Adds a chunk that starts with `size` bytes, a multiple of the alignment. Earlier chunks stay
    /// where they are, so what was lent from them stays valid.
    #[cold]
    fn grow(&self, size: usize) -> *mut u8 {
        let mut chunks = self.chunks.take();
        let twice = chunks.last().map_or(FIRST_BYTES, |chunk| bytes(chunk).saturating_mul(2));
        let whole = size.max(twice.min(KEEP_BYTES));
        let address = add_chunk(&mut chunks, whole).unwrap_or(null_mut());
        self.chunks.set(chunks);
        if !address.is_null() {
            self.next.set(address.wrapping_add(size));
            self.left.set(whole.saturating_sub(size));
            self.grown.set(true);
        }
        address
    }

    fn reset(&self) {
        if self.grown.get() {
            self.settle();
        }
        self.next.set(self.start.get());
        self.left.set(self.whole.get());
    }

    /// Keeps the largest chunk that may be kept, and that alone.
    #[cold]
    fn settle(&self) {
        let mut chunks = self.chunks.take();
        let kept = chunks.drain(..).filter(|chunk| bytes(chunk) <= KEEP_BYTES).max_by_key(Vec::len);
        chunks.extend(kept);
        let (start, whole) = match chunks.last_mut() {
            Some(chunk) => (chunk.as_mut_ptr().cast::<u8>(), bytes(chunk)),
            None => (null_mut(), 0),
        };
        self.chunks.set(chunks);
        self.start.set(start);
        self.whole.set(whole);
        self.grown.set(false);
    }
}

impl Drop for Arena {
    /// The thread ends. An event that was leaked may have lent bytes for good, to another thread even.
    fn drop(&mut self) {
        if self.events.get() != 0 {
            std::mem::forget(self.chunks.take());
        }
    }
}

/// Adds `size` zero bytes, a multiple of the alignment; their address, or nothing when memory is out.
fn add_chunk(chunks: &mut Vec<Vec<u64>>, size: usize) -> Option<*mut u8> {
    let words = size / ALIGN_BYTES;
    let mut chunk = Vec::new();
    chunk.try_reserve_exact(words).ok()?;
    chunks.try_reserve(1).ok()?;
    chunk.resize(words, 0_u64);
    let address = chunk.as_mut_ptr().cast::<u8>();
    chunks.push(chunk);
    Some(address)
}

fn bytes(chunk: &[u64]) -> usize {
    chunk.len().saturating_mul(ALIGN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> usize {
        ARENA.with(|arena| arena.whole.get())
    }

    fn chunks() -> usize {
        ARENA.with(|arena| {
            let chunks = arena.chunks.take();
            let count = chunks.len();
            arena.chunks.set(chunks);
            count
        })
    }

    #[test]
    fn addresses_are_aligned_apart_and_used_again() {
        let event = Event::begin();
        let first = allocate(3);
        let second = allocate(1);
        assert_eq!(first.addr() % ALIGN_BYTES, 0);
        assert_eq!(second.addr() - first.addr(), ALIGN_BYTES);
        assert!(!allocate(0).is_null());
        drop(event);
        let event = Event::begin();
        assert_eq!(allocate(5).addr(), first.addr());
        drop(event);
    }

    #[test]
    fn what_does_not_fit_gets_a_new_chunk_and_the_old_one_stays() {
        let event = Event::begin();
        let small = allocate(8);
        // SAFETY: eight bytes of the arena, initialised; the event is alive.
        let view = unsafe { std::slice::from_raw_parts(small, 8) };
        let large = allocate(100_000);
        // SAFETY: 100,000 bytes of the arena that no view covers.
        unsafe { large.write_bytes(7, 100_000) };
        assert_eq!(view, [0; 8]);
        assert_eq!(chunks(), 2);
        drop(event);
        assert_eq!((chunks(), kept()), (1, 100_000));
    }

    #[test]
    fn a_huge_event_does_not_stay() {
        let event = Event::begin();
        assert!(!allocate(8).is_null());
        assert!(!allocate(KEEP_BYTES + 1).is_null());
        drop(event);
        assert_eq!((chunks(), kept()), (1, FIRST_BYTES));
        let event = Event::begin();
        assert!(!allocate(KEEP_BYTES + 1).is_null());
        drop(event);
        assert_eq!((chunks(), kept()), (1, FIRST_BYTES));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let event = Event::begin();
        assert!(allocate(usize::MAX).is_null());
        assert!(allocate(usize::MAX - 64).is_null());
        assert!(!allocate(16).is_null());
        drop(event);
    }

    #[test]
    fn nested_events_share_until_the_last_ends() {
        let outer = Event::begin();
        let first = allocate(8);
        let inner = Event::begin();
        drop(outer);
        assert_ne!(allocate(8).addr(), first.addr());
        drop(inner);
        assert_eq!(allocate(8).addr(), first.addr());
    }

    #[test]
    #[cfg_attr(miri, ignore = "leaks on purpose")]
    fn a_leaked_event_keeps_its_memory_past_the_thread() {
        let view: &'static [u8] = std::thread::spawn(|| {
            let _event: &'static Event = Box::leak(Box::new(Event::begin()));
            let address = allocate(4);
            // SAFETY: four initialised bytes; the event that lends them is never dropped.
            unsafe {
                address.write_bytes(9, 4);
                std::slice::from_raw_parts(address, 4)
            }
        })
        .join()
        .unwrap();
        assert_eq!(view, [9; 4]);
    }
}
