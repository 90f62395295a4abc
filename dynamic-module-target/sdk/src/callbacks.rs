//! The callbacks of Envoy that this crate uses, in one table of function pointers.
//!
//! The table is filled by `dlsym` when the module is loaded. Linking the symbols instead would cost the
//! same per call (a `cdylib` calls through its global offset table: one load and an indirect call, as
//! here), but a test executable would not link, and one symbol that a host lacks would refuse the whole
//! module, because Rust links modules with `-z now`.
//!
//! Until it is filled, each entry does nothing and says "no".

use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::abi::{
    ConfigEnvoy, ConfigScheduler, FilterEnvoy, FilterScheduler, ModuleBuffer, ModuleHeader,
    RawEnvoyBuffer, RawEnvoyHeader,
};

/// Declares the table: its type, the way to fill it, and one function per entry that calls it.
macro_rules! callbacks {
    (
        required { $($name:ident = $symbol:literal ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?, unset $unset:expr;)* }
        newer { $($new:ident = $new_symbol:literal ($($new_arg:ident: $new_ty:ty),* $(,)?) $(-> $new_ret:ty)?;)* }
    ) => {
        /// One function for each callback.
        #[derive(Clone, Copy)]
        pub(crate) struct Callbacks {
            $(pub(crate) $name: unsafe extern "C" fn($($ty),*) $(-> $ret)?,)*
            $(pub(crate) $new: Option<unsafe extern "C" fn($($new_ty),*) $(-> $new_ret)?>,)*
        }

        impl Callbacks {
            /// Looks all of them up; the error is the name of one that every supported host has and
            /// this one lacks.
            ///
            /// # Safety
            ///
            /// What `find` returns is null or a function of the ABI by the name asked for.
            unsafe fn resolve(find: impl Fn(&CStr) -> *mut c_void) -> Result<Self, &'static CStr> {
                Ok(Self {
                    $($name: {
                        let found = find($symbol);
                        if found.is_null() {
                            return Err($symbol);
                        }
                        // SAFETY: the function of that name has this type in the ABI.
                        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($ty),*) $(-> $ret)?>(found) }
                    },)*
                    $($new: {
                        // SAFETY: as above; null becomes `None`.
                        unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($new_ty),*) $(-> $new_ret)?>>(find($new_symbol)) }
                    },)*
                })
            }
        }

        /// What stands in the table until it is filled.
        mod unset {
            use super::*;
            $(pub(super) unsafe extern "C" fn $name($(_: $ty),*) $(-> $ret)? { $unset })*
        }

        /// The table itself: an atomic pointer per callback, loaded relaxed, which is a plain load.
        /// Envoy's own synchronisation orders the load of the module before all that workers do.
        mod table {
            use super::*;
            $(#[expect(non_upper_case_globals, reason = "named like the callback")]
            pub(super) static $name: AtomicPtr<c_void> = AtomicPtr::new(unset::$name as *mut c_void);)*
            $(#[expect(non_upper_case_globals, reason = "named like the callback")]
            pub(super) static $new: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());)*
        }

        /// Fills the table.
        ///
        /// # Safety
        ///
        /// Each function keeps the contract of the ABI, for as long as the process lives.
        pub(crate) unsafe fn install(callbacks: &Callbacks) {
            $(table::$name.store(callbacks.$name as *mut c_void, Ordering::Relaxed);)*
            $(table::$new.store(callbacks.$new.map_or(core::ptr::null_mut(), |f| f as *mut c_void), Ordering::Relaxed);)*
        }

        $(
            /// Calls the callback.
            ///
            /// # Safety
            ///
            /// The arguments are what the ABI asks for.
            #[inline]
            pub(crate) unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
                let function = table::$name.load(Ordering::Relaxed);
                // SAFETY: the entry is never null and was stored from a function of this type.
                let function = unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($ty),*) $(-> $ret)?>(function) };
                // SAFETY: passed on to the caller.
                unsafe { function($($arg),*) }
            }
        )*
        $(
            /// The callback, where the host has it.
            #[inline]
            pub(crate) fn $new() -> Option<unsafe extern "C" fn($($new_ty),*) $(-> $new_ret)?> {
                let function = table::$new.load(Ordering::Relaxed);
                // SAFETY: null is `None`; anything else was stored from a function of this type.
                unsafe { core::mem::transmute::<*mut c_void, Option<unsafe extern "C" fn($($new_ty),*) $(-> $new_ret)?>>(function) }
            }
        )*
    };
}

callbacks! {
    required {
        log = c"envoy_dynamic_module_callback_log"(
            level: u32, message: ModuleBuffer<'_>,
        ), unset ();
        log_enabled = c"envoy_dynamic_module_callback_log_enabled"(level: u32) -> bool, unset false;
        define_counter = c"envoy_dynamic_module_callback_http_filter_config_define_counter"(
            config: ConfigEnvoy, name: ModuleBuffer<'_>, label_names: *mut ModuleBuffer<'_>,
            label_names_length: usize, id: *mut usize,
        ) -> u32, unset 1;
        define_gauge = c"envoy_dynamic_module_callback_http_filter_config_define_gauge"(
            config: ConfigEnvoy, name: ModuleBuffer<'_>, label_names: *mut ModuleBuffer<'_>,
            label_names_length: usize, id: *mut usize,
        ) -> u32, unset 1;
        define_histogram = c"envoy_dynamic_module_callback_http_filter_config_define_histogram"(
            config: ConfigEnvoy, name: ModuleBuffer<'_>, label_names: *mut ModuleBuffer<'_>,
            label_names_length: usize, id: *mut usize,
        ) -> u32, unset 1;
        increment_counter = c"envoy_dynamic_module_callback_http_filter_increment_counter"(
            filter: FilterEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32, unset 1;
        increase_gauge = c"envoy_dynamic_module_callback_http_filter_increment_gauge"(
            filter: FilterEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32, unset 1;
        decrease_gauge = c"envoy_dynamic_module_callback_http_filter_decrement_gauge"(
            filter: FilterEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32, unset 1;
        set_gauge = c"envoy_dynamic_module_callback_http_filter_set_gauge"(
            filter: FilterEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32, unset 1;
        record_histogram_value = c"envoy_dynamic_module_callback_http_filter_record_histogram_value"(
            filter: FilterEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32, unset 1;
        get_header = c"envoy_dynamic_module_callback_http_get_header"(
            filter: FilterEnvoy, map: u32, key: ModuleBuffer<'_>, result: *mut RawEnvoyBuffer,
            index: usize, count: *mut usize,
        ) -> bool, unset false;
        get_headers_size = c"envoy_dynamic_module_callback_http_get_headers_size"(
            filter: FilterEnvoy, map: u32,
        ) -> usize, unset 0;
        get_headers = c"envoy_dynamic_module_callback_http_get_headers"(
            filter: FilterEnvoy, map: u32, result: *mut RawEnvoyHeader,
        ) -> bool, unset false;
        add_header = c"envoy_dynamic_module_callback_http_add_header"(
            filter: FilterEnvoy, map: u32, key: ModuleBuffer<'_>, value: ModuleBuffer<'_>,
        ) -> bool, unset false;
        set_header = c"envoy_dynamic_module_callback_http_set_header"(
            filter: FilterEnvoy, map: u32, key: ModuleBuffer<'_>, value: ModuleBuffer<'_>,
        ) -> bool, unset false;
        send_response = c"envoy_dynamic_module_callback_http_send_response"(
            filter: FilterEnvoy, status: u32, headers: *mut ModuleHeader<'_>, headers_size: usize,
            body: ModuleBuffer<'_>, details: ModuleBuffer<'_>,
        ), unset ();
        get_body_size = c"envoy_dynamic_module_callback_http_get_body_size"(
            filter: FilterEnvoy, body: u32,
        ) -> usize, unset 0;
        get_body_chunks_size = c"envoy_dynamic_module_callback_http_get_body_chunks_size"(
            filter: FilterEnvoy, body: u32,
        ) -> usize, unset 0;
        get_body_chunks = c"envoy_dynamic_module_callback_http_get_body_chunks"(
            filter: FilterEnvoy, body: u32, result: *mut RawEnvoyBuffer,
        ) -> bool, unset false;
        append_body = c"envoy_dynamic_module_callback_http_append_body"(
            filter: FilterEnvoy, body: u32, data: ModuleBuffer<'_>,
        ) -> bool, unset false;
        drain_body = c"envoy_dynamic_module_callback_http_drain_body"(
            filter: FilterEnvoy, body: u32, number_of_bytes: usize,
        ) -> bool, unset false;
        set_dynamic_metadata_string = c"envoy_dynamic_module_callback_http_set_dynamic_metadata_string"(
            filter: FilterEnvoy, namespace: ModuleBuffer<'_>, key: ModuleBuffer<'_>, value: ModuleBuffer<'_>,
        ), unset ();
        get_attribute_string = c"envoy_dynamic_module_callback_http_filter_get_attribute_string"(
            filter: FilterEnvoy, attribute: u32, result: *mut RawEnvoyBuffer,
        ) -> bool, unset false;
        get_attribute_int = c"envoy_dynamic_module_callback_http_filter_get_attribute_int"(
            filter: FilterEnvoy, attribute: u32, result: *mut u64,
        ) -> bool, unset false;
        get_attribute_bool = c"envoy_dynamic_module_callback_http_filter_get_attribute_bool"(
            filter: FilterEnvoy, attribute: u32, result: *mut bool,
        ) -> bool, unset false;
        clear_route_cache = c"envoy_dynamic_module_callback_http_clear_route_cache"(
            filter: FilterEnvoy,
        ), unset ();
        continue_decoding = c"envoy_dynamic_module_callback_http_filter_continue_decoding"(
            filter: FilterEnvoy,
        ), unset ();
        http_callout = c"envoy_dynamic_module_callback_http_filter_http_callout"(
            filter: FilterEnvoy, id: *mut u64, cluster: ModuleBuffer<'_>,
            headers: *mut ModuleHeader<'_>, headers_size: usize, body: ModuleBuffer<'_>,
            timeout_milliseconds: u64,
        ) -> u32, unset 4;
        config_http_callout = c"envoy_dynamic_module_callback_http_filter_config_http_callout"(
            config: ConfigEnvoy, id: *mut u64, cluster: ModuleBuffer<'_>,
            headers: *mut ModuleHeader<'_>, headers_size: usize, body: ModuleBuffer<'_>,
            timeout_milliseconds: u64,
        ) -> u32, unset 4;
        scheduler_new = c"envoy_dynamic_module_callback_http_filter_scheduler_new"(
            filter: FilterEnvoy,
        ) -> FilterScheduler, unset core::ptr::null_mut();
        scheduler_commit = c"envoy_dynamic_module_callback_http_filter_scheduler_commit"(
            scheduler: FilterScheduler, event: u64,
        ), unset ();
        scheduler_delete = c"envoy_dynamic_module_callback_http_filter_scheduler_delete"(
            scheduler: FilterScheduler,
        ), unset ();
        config_scheduler_new = c"envoy_dynamic_module_callback_http_filter_config_scheduler_new"(
            config: ConfigEnvoy,
        ) -> ConfigScheduler, unset core::ptr::null_mut();
        config_scheduler_commit = c"envoy_dynamic_module_callback_http_filter_config_scheduler_commit"(
            scheduler: ConfigScheduler, event: u64,
        ), unset ();
        config_scheduler_delete = c"envoy_dynamic_module_callback_http_filter_config_scheduler_delete"(
            scheduler: ConfigScheduler,
        ), unset ();
    }
    newer {
        // 1.39
        config_increment_counter = c"envoy_dynamic_module_callback_http_filter_config_increment_counter"(
            config: ConfigEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32;
        config_increase_gauge = c"envoy_dynamic_module_callback_http_filter_config_increment_gauge"(
            config: ConfigEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32;
        config_decrease_gauge = c"envoy_dynamic_module_callback_http_filter_config_decrement_gauge"(
            config: ConfigEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32;
        config_set_gauge = c"envoy_dynamic_module_callback_http_filter_config_set_gauge"(
            config: ConfigEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32;
        config_record_histogram_value = c"envoy_dynamic_module_callback_http_filter_config_record_histogram_value"(
            config: ConfigEnvoy, id: usize, label_values: *mut ModuleBuffer<'_>,
            label_values_length: usize, value: u64,
        ) -> u32;
        // 1.40
        log_v2 = c"envoy_dynamic_module_callback_log_v2"(
            level: u32, message: ModuleBuffer<'_>, file: ModuleBuffer<'_>, line: u32,
        );
    }
}

/// Fills the table from the process that loaded this module. The error names what it lacks.
pub(crate) fn link() -> Result<(), &'static CStr> {
    // SAFETY: the names are reserved for the ABI, so what is found by them has its types; they belong
    // to the executable, which is never unloaded.
    unsafe {
        let found = Callbacks::resolve(|symbol| dlsym(RTLD_DEFAULT, symbol.as_ptr()))?;
        install(&found);
    }
    Ok(())
}

#[cfg(not(target_os = "macos"))]
const RTLD_DEFAULT: *mut c_void = core::ptr::null_mut();
#[cfg(target_os = "macos")]
const RTLD_DEFAULT: *mut c_void = core::ptr::without_provenance_mut(usize::MAX - 1);

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_a_required_callback_is_refused_by_its_name() {
        // SAFETY: null only.
        let refused = unsafe { Callbacks::resolve(|_| core::ptr::null_mut()) };
        assert_eq!(refused.err(), Some(c"envoy_dynamic_module_callback_log"));
    }

    #[test]
    fn a_newer_callback_may_be_absent() {
        // SAFETY: never called; only null or not is looked at.
        let found = unsafe {
            Callbacks::resolve(|symbol| {
                if symbol == c"envoy_dynamic_module_callback_log_v2" {
                    core::ptr::null_mut()
                } else {
                    unset::clear_route_cache as *mut c_void
                }
            })
        };
        assert!(found.is_ok_and(|callbacks| callbacks.log_v2.is_none()));
    }
}
