//! Envoy as the core sees it.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use envoy_proxy_dynamic_modules_rust_sdk::{
    AttributeId, CalloutInitResult, EnvoyHttpFilter, HeaderType, LogLevel, log_args, log_enabled,
};
use pintle_core::store::{Shard, StoreId};
use pintle_core::{
    Attribute, Callout, CalloutId, DispatchError, Edit, Errand, FieldName, Host, Level, Metric,
    Repeated, Section, UnixTime,
};

use crate::facilities::Facilities;
use crate::waker::Waker;

/// Namespace of the dynamic metadata that notes go to.
const METADATA: &str = "pintle";

/// One stream of Envoy, while one of its events is handled. Lends straight from Envoy's memory.
pub(crate) struct EnvoyHost<'e> {
    pub(crate) envoy: &'e mut EnvoyHttpFilter,
    pub(crate) facilities: &'e Facilities,
}

impl Host for EnvoyHost<'_> {
    type Waker = Waker;

    fn fields(&self, section: Section) -> impl Iterator<Item = (&[u8], &[u8])> {
        let fields = self.envoy.get_headers(map(section));
        fields.map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    fn values<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> impl Iterator<Item = &'a [u8]> {
        let values = self.envoy.get_header_values(map(section), name.as_bytes());
        values.map(|value| value.as_slice())
    }

    fn sole<'a>(
        &'a self,
        section: Section,
        name: &'a FieldName,
    ) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.envoy.get_header_values(map(section), name.as_bytes());
        if values.len() > 1 { Err(Repeated) } else { Ok(values.next().map(|v| v.as_slice())) }
    }

    fn attribute(&self, attribute: Attribute) -> Option<&[u8]> {
        let id = match attribute {
            Attribute::SourceAddress => AttributeId::SourceAddress,
            Attribute::RequestedServerName => AttributeId::ConnectionRequestedServerName,
            Attribute::SubjectPeerCertificate => AttributeId::ConnectionSubjectPeerCertificate,
            Attribute::UriSanPeerCertificate => AttributeId::ConnectionUriSanPeerCertificate,
            Attribute::DnsSanPeerCertificate => AttributeId::ConnectionDnsSanPeerCertificate,
        };
        let value = self.envoy.get_attribute_string(id).map(|value| value.as_slice());
        value.filter(|value| !value.is_empty())
    }

    fn logs(&self, level: Level) -> bool {
        logs(level)
    }

    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        log(level, message);
    }

    fn now(&self) -> UnixTime {
        now()
    }

    fn add(&self, counter: Metric, n: u64) {
        self.facilities.metrics.add(self.envoy, counter, n);
    }

    fn shift(&self, gauge: Metric, by: i64) {
        self.facilities.metrics.shift(self.envoy, gauge, by);
    }

    fn record(&self, histogram: Metric, value: u64) {
        self.facilities.metrics.record(self.envoy, histogram, value);
    }

    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, DispatchError> {
        let (fields, body) = (callout.fields.iter().copied(), Some(callout.body));
        // To Envoy no time at all is time without end.
        let timeout = callout.timeout_ms.max(1).into();
        let sent = self.envoy.send_http_callout(callout.cluster, fields, body, timeout);
        sent.map(CalloutId).map_err(dispatch_error)
    }

    fn send_out(&self, callout: &Callout<'_>, errand: Errand) -> Result<(), DispatchError> {
        self.facilities.errands.take_on(callout, errand)
    }

    fn waker(&self) -> Waker {
        Waker::new(self.envoy.new_scheduler())
    }

    fn wake(&self, waker: Waker) {
        // That is how a waker wakes.
        drop(waker);
    }

    fn shared<R>(&self, store: StoreId, hash: u64, work: impl FnOnce(&mut Shard<Waker>) -> R) -> R {
        self.facilities.metrics.settle(self.envoy);
        self.facilities.stores.lend(store, hash, work)
    }

    fn edit(&mut self, section: Section, edit: Edit<'_>) {
        let map = map(section);
        // `false` is no failure here: values are not empty, and where there is no section there is
        // nothing to change.
        let _ = match edit {
            Edit::Set(name, value) => self.envoy.set_header(map, name.as_bytes(), value.as_bytes()),
            Edit::Append(name, value) => {
                self.envoy.add_header(map, name.as_bytes(), value.as_bytes())
            }
            Edit::Remove(name) => self.envoy.remove_header(map, name.as_bytes()),
        };
    }

    fn note(&mut self, key: &str, value: &[u8]) {
        // A protobuf string is UTF-8.
        let value = String::from_utf8_lossy(value);
        self.envoy.set_dynamic_metadata_string(METADATA, key, value.as_bytes());
    }

    fn reroute(&mut self) {
        self.envoy.clear_route_cache();
    }
}

/// Whether a message of this level would be written.
pub(crate) fn logs(level: Level) -> bool {
    log_enabled(log_level(level))
}

/// Writes a message.
pub(crate) fn log(level: Level, message: fmt::Arguments<'_>) {
    log_args(log_level(level), message);
}

/// Why a callout was not started.
pub(crate) const fn dispatch_error(why: CalloutInitResult) -> DispatchError {
    match why {
        CalloutInitResult::ClusterNotFound => DispatchError::NoCluster,
        CalloutInitResult::MissingRequiredHeaders => DispatchError::Rejected,
        _ => DispatchError::CannotSend,
    }
}

/// The time of day; the start of 1970 on a clock that stands before it.
pub(crate) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

const fn map(section: Section) -> HeaderType {
    match section {
        Section::Request => HeaderType::RequestHeader,
        Section::Response => HeaderType::ResponseHeader,
    }
}

const fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

#[cfg(test)]
mod tests;
