//! The module's object of one stream: its filter, and where its configuration is.

use core::cell::Cell;
use core::ptr::{self, NonNull};

use crate::abi::{ConfigModule, FilterModule};
use crate::callout::Early;
use crate::config::HttpFilterConfig;
use crate::http_filter::HttpFilter;
use crate::panic::contain;
use crate::pool;

/// A configuration, and what this crate keeps for it.
pub(crate) struct Loaded<C> {
    pub(crate) config: C,
    pub(crate) early: Early,
    /// Whether hooks for the content of responses are called.
    pub(crate) reads_content: bool,
}

struct Stream<C: HttpFilterConfig> {
    /// Envoy keeps the configuration while any hook but `destroy` runs.
    config: NonNull<Loaded<C>>,
    upkeep: Upkeep,
    filter: C::Filter,
}

/// What this crate keeps for a stream beside its filter.
#[derive(Default)]
pub(crate) struct Upkeep {
    /// How many hooks are on the stack.
    active: Cell<u32>,
    /// Envoy has called `destroy`.
    destroyed: Cell<bool>,
    /// The filter has answered the request.
    pub(crate) answered: Cell<bool>,
    pub(crate) early: Early,
}

/// Whether the filter has neither data nor a destructor, and sends nothing. Then the configuration
/// stands for it.
const fn stateless<C: HttpFilterConfig>() -> bool {
    size_of::<C::Filter>() == 0
        && !core::mem::needs_drop::<C::Filter>()
        && !<C::Filter as HttpFilter>::HTTP_CALLOUT_DONE
}

/// Puts a filter where Envoy can point at it.
pub(crate) fn store<C: HttpFilterConfig>(
    config: NonNull<Loaded<C>>,
    filter: C::Filter,
) -> FilterModule {
    if stateless::<C>() {
        // It has no destructor, so it lives on in a sense, and `enter` can refer to it.
        let _ = core::mem::ManuallyDrop::new(filter);
        return config.as_ptr().cast_const().cast();
    }
    let stream = pool::take::<Stream<C>>();
    let value = Stream { config, upkeep: Upkeep::default(), filter };
    // SAFETY: `take` gave memory for this type.
    unsafe { stream.write(value) };
    stream.cast_const().cast()
}

/// What stands for a filter that could not be made. Not null: to Envoy before 1.40 that is no obstacle to
/// calling hooks with it. No object is at the last address.
pub(crate) const FAILED: FilterModule = ptr::without_provenance(usize::MAX);

/// Whether nothing was stored there. Null and [`FAILED`] are neighbours: one comparison.
#[inline]
fn is_absent(module: FilterModule) -> bool {
    module.addr().wrapping_add(1) <= 1
}

/// Why a hook did not run on a filter, or not to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The filter could not be made.
    Failed,
    /// The hook panicked.
    Panicked,
    /// It is gone, or the hook panicked when the stream had been answered or destroyed already. Envoy
    /// before 1.40 may call hooks after `destroy`, with null.
    Gone,
}

impl Upkeep {
    /// Envoy has let go of the filter inside a hook that still runs.
    pub(crate) fn is_destroyed(&self) -> bool {
        self.destroyed.get()
    }

    /// What a panic leaves: a filter whose stream is to be answered, at once and once.
    #[cold]
    pub(crate) fn after_panic(&self) -> Absent {
        let over = self.answered.replace(true) || self.destroyed.get();
        if over { Absent::Gone } else { Absent::Panicked }
    }
}

/// Runs a hook on a stored filter. The filter stays while hooks run, even if one of them, nested,
/// destroys it (Envoy before 1.40 does that).
///
/// # Safety
///
/// `module` is null, [`FAILED`], or comes from [`store`] of the same type and is not yet destroyed;
/// `code` does not unwind.
#[inline]
pub(crate) unsafe fn enter<C: HttpFilterConfig, R>(
    module: FilterModule,
    code: impl FnOnce(&C, &C::Filter, Option<&Upkeep>) -> R,
) -> Result<R, Absent> {
    if is_absent(module) {
        return Err(if module.is_null() { Absent::Gone } else { Absent::Failed });
    }
    if stateless::<C>() {
        // SAFETY: `store` made it from the configuration, which outlives the hook.
        let config = unsafe { &(*module.cast::<Loaded<C>>()).config };
        // SAFETY: a value without size needs no memory, and `store` was given one.
        let filter = unsafe { NonNull::<C::Filter>::dangling().as_ref() };
        return Ok(code(config, filter, None));
    }
    let stream = module.cast::<Stream<C>>().cast_mut();
    // SAFETY: written by `store`, not freed while `active` is not 0, only ever shared.
    let shared = unsafe { &*stream };
    let upkeep = &shared.upkeep;
    upkeep.active.set(upkeep.active.get() + 1);
    // SAFETY: the configuration outlives the hook.
    let result = code(unsafe { &shared.config.as_ref().config }, &shared.filter, Some(upkeep));
    let active = upkeep.active.get() - 1;
    upkeep.active.set(active);
    if active == 0 && upkeep.destroyed.get() {
        // SAFETY: no hook is left that refers to it, and Envoy has let go of it.
        unsafe { free(stream) };
    }
    Ok(result)
}

/// Whether a filter is stored whose configuration has no work with the content of responses.
///
/// # Safety
///
/// `module` is as for [`enter`].
#[inline]
pub(crate) unsafe fn skips_content<C: HttpFilterConfig>(module: FilterModule) -> bool {
    if is_absent(module) {
        return false;
    }
    let config = if stateless::<C>() {
        module.cast::<Loaded<C>>()
    } else {
        // SAFETY: written by `store`, and not freed.
        unsafe { (*module.cast::<Stream<C>>()).config.as_ptr().cast_const() }
    };
    // SAFETY: the configuration outlives the hook.
    unsafe { !(*config).reads_content }
}

/// Drops the filter, or leaves that to the hook that is running.
///
/// # Safety
///
/// `module` is as for [`enter`]; this is the last use of it but for hooks that run.
pub(crate) unsafe fn destroy<C: HttpFilterConfig>(module: FilterModule) {
    if is_absent(module) || stateless::<C>() {
        return;
    }
    let stream = module.cast::<Stream<C>>().cast_mut();
    // SAFETY: written by `store`, not freed yet.
    let shared = unsafe { &*stream };
    if shared.upkeep.active.get() == 0 {
        // SAFETY: no hook refers to it.
        unsafe { free(stream) };
    } else {
        shared.upkeep.destroyed.set(true);
    }
}

/// # Safety
///
/// `stream` comes from [`store`], and nothing refers to it.
unsafe fn free<C: HttpFilterConfig>(stream: *mut Stream<C>) {
    // The configuration may be gone by now; neither destructor looks at it.
    // SAFETY: dropped once, here; after a panic in a destructor it counts as dropped.
    unsafe {
        contain("http_filter_destroy", || ptr::drop_in_place(&raw mut (*stream).filter));
        ptr::drop_in_place(&raw mut (*stream).upkeep);
    }
    // SAFETY: `store` took it from the pool.
    unsafe { pool::give(stream) };
}

/// The configuration behind the pointer that `config_new` gave to Envoy.
///
/// # Safety
///
/// `config` comes from `config_new` of the same type and is not destroyed.
pub(crate) unsafe fn config<C>(config: ConfigModule) -> NonNull<Loaded<C>> {
    // SAFETY: `config_new` never gives null for a configuration.
    unsafe { NonNull::new_unchecked(config.cast::<Loaded<C>>().cast_mut()) }
}

/// What is kept for a stored filter; null where nothing is.
///
/// # Safety
///
/// `module` is as for [`enter`].
#[cfg(any(test, feature = "fakes"))]
pub(crate) unsafe fn upkeep<C: HttpFilterConfig>(module: FilterModule) -> *const Upkeep {
    if is_absent(module) || stateless::<C>() {
        return ptr::null();
    }
    // SAFETY: written by `store` and not freed.
    unsafe { &raw const (*module.cast::<Stream<C>>()).upkeep }
}
