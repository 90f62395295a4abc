//! Envoy as the core sees it.

use std::fmt;

use envoy_proxy_dynamic_modules_rust_sdk::{
    AttributeId, EnvoyCounterId, EnvoyHttpFilter, HeaderType, LogLevel, log_args, log_enabled,
};
use pintle_core::{Attribute, Counter, Edit, FieldName, Host, Level, Repeated, Section};

/// Namespace of the dynamic metadata that notes go to.
const METADATA: &str = "pintle";

/// One stream of Envoy, while one of its events is handled. Lends straight from Envoy's memory.
pub(crate) struct EnvoyHost<'e> {
    pub(crate) envoy: &'e mut EnvoyHttpFilter,
    pub(crate) counters: &'e [EnvoyCounterId],
}

impl Host for EnvoyHost<'_> {
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
        log_enabled(log_level(level))
    }

    fn log(&self, level: Level, message: fmt::Arguments<'_>) {
        log_args(log_level(level), message);
    }

    fn add(&self, counter: Counter, n: u64) {
        if let Some(id) = self.counters.get(counter.index()) {
            // The id is of this configuration, so Envoy knows it.
            let _ = self.envoy.increment_counter(*id, n);
        }
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
