//! Those of a configuration, on the main thread.

use core::ptr;

use crate::abi::{ConfigEnvoy, ConfigModule, LogLevel, RawEnvoyBuffer, RawEnvoyHeader};
use crate::callout::{CalloutOutcome, EARLY_EVENT, Early};
use crate::config::{EnvoyHttpFilterConfig, HttpFilterConfig};
use crate::log;
use crate::panic::contain;
use crate::stream::Loaded;

/// A configuration is loaded. Null refuses it.
///
/// # Safety
///
/// See the [module](super).
pub unsafe fn config_new<C: HttpFilterConfig>(
    envoy: ConfigEnvoy,
    name: RawEnvoyBuffer,
    config: RawEnvoyBuffer,
) -> ConfigModule {
    // SAFETY: Envoy lends both until the hook returns.
    let (name, config) = unsafe { (name.as_slice(), config.as_slice()) };
    let made = contain("http_filter_config_new", || {
        let Ok(name) = str::from_utf8(name) else {
            log::log(LogLevel::Error, "the filter name is not UTF-8");
            return None;
        };
        // SAFETY: Envoy's object is valid until the hook returns.
        let mut envoy = unsafe { EnvoyHttpFilterConfig::new(envoy, ptr::null()) };
        let config = C::new(&mut envoy, name, config)?;
        let reads_content = config.reads_response_content();
        Some(Box::new(Loaded { config, early: Early::default(), reads_content }))
    });
    match made {
        Some(Some(made)) => Box::into_raw(made).cast_const().cast(),
        _ => ptr::null(),
    }
}

/// A configuration is no longer in use.
///
/// # Safety
///
/// See the [module](super).
pub unsafe fn config_destroy<C: HttpFilterConfig>(config: ConfigModule) {
    // SAFETY: `config_new` made it; Envoy calls this once, when no stream uses it.
    contain("http_filter_config_destroy", || unsafe {
        drop(Box::from_raw(config.cast::<Loaded<C>>().cast_mut()));
    });
}

/// An event of a configuration's scheduler has come.
///
/// # Safety
///
/// See the [module](super).
pub unsafe fn config_scheduled<C: HttpFilterConfig>(
    envoy: ConfigEnvoy,
    config: ConfigModule,
    event_id: u64,
) {
    // SAFETY: null, or made by `config_new`.
    let Some(loaded) = (unsafe { config.cast::<Loaded<C>>().as_ref() }) else { return };
    if event_id == EARLY_EVENT {
        for ended in loaded.early.take() {
            // SAFETY: passed on to the caller.
            ended.lend(|outcome| unsafe { config_ended(envoy, loaded, ended.id, outcome) });
        }
        return;
    }
    contain("http_filter_config_scheduled", || {
        // SAFETY: Envoy's object is valid until the hook returns.
        let mut envoy = unsafe { EnvoyHttpFilterConfig::new(envoy, &raw const loaded.early) };
        loaded.config.on_scheduled(&mut envoy, event_id);
    });
}

/// A callout of a configuration has ended.
///
/// # Safety
///
/// See the [module](super).
#[expect(clippy::too_many_arguments, reason = "as in the ABI")]
pub unsafe fn config_http_callout_done<C: HttpFilterConfig>(
    envoy: ConfigEnvoy,
    config: ConfigModule,
    callout_id: u64,
    result: u32,
    headers: *const RawEnvoyHeader,
    headers_size: usize,
    chunks: *const RawEnvoyBuffer,
    chunks_size: usize,
) {
    // SAFETY: null, or made by `config_new`.
    let Some(loaded) = (unsafe { config.cast::<Loaded<C>>().as_ref() }) else { return };
    // SAFETY: Envoy lends all of it until the hook returns.
    let outcome =
        unsafe { CalloutOutcome::new(result, headers, headers_size, chunks, chunks_size) };
    if !loaded.early.keeps(callout_id, outcome) {
        // SAFETY: passed on to the caller.
        unsafe { config_ended(envoy, loaded, callout_id, outcome) }
    }
}

/// # Safety
///
/// `envoy` is the object of the hook that runs.
unsafe fn config_ended<C: HttpFilterConfig>(
    envoy: ConfigEnvoy,
    loaded: &Loaded<C>,
    callout_id: u64,
    outcome: CalloutOutcome<'_>,
) {
    contain("http_filter_config_http_callout_done", || {
        // SAFETY: passed on to the caller.
        let mut envoy = unsafe { EnvoyHttpFilterConfig::new(envoy, &raw const loaded.early) };
        loaded.config.on_http_callout_done(&mut envoy, callout_id, outcome);
    });
}
