use std::cell::Cell;

use pintle_core::config::HashKey;
use pintle_core::testing::contract::{contract, sharing, store};
use pintle_core::testing::corpus::NO_CLUSTER;
use pintle_core::{NoFurther, Policy};

use super::*;
use crate::abi::fakes;
use crate::metrics::Metrics;
use crate::stores::Stores;

/// The means of root context 1, on a fresh host.
fn means() -> Means {
    fakes::reset();
    let config = br#"{"filters": [{"require_header": {"header": "x-a"}}]}"#;
    let policy = Policy::<NoFurther>::load(config, HashKey::new([0; 16])).unwrap();
    Means { root: 1, metrics: Metrics::define(&policy), stores: Vec::new() }
}

/// The host of an event of stream 2.
fn host<'e>(event: &'e Event, means: &'e Means, held: &'e Held, section: Section) -> WasmHost<'e> {
    WasmHost::new(event, means, held, LogLevel::Trace as u32, 2, Some(section))
}

/// Enters an event of a new stream.
fn enter(id: u32, section: Section, lines: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
    fakes::with(|host| {
        host.create_root(1);
        let stream = host.create_stream(id, 1);
        let fields = lines.into_iter().collect();
        match section {
            Section::Request => stream.request = fields,
            Section::Response => stream.response = fields,
        }
    });
    fakes::enter(id, map(section));
}

#[test]
#[cfg_attr(miri, ignore = "large sections; the virtual machine's tests make the same calls")]
fn the_contract() {
    let (means, held, event) = (means(), Held::default(), Event::begin());
    let last = Cell::new(1);
    contract(|section, lines| {
        last.set(last.get() + 1);
        enter(last.get(), section, lines);
        WasmHost::new(&event, &means, &held, LogLevel::Trace as u32, last.get(), Some(section))
    });
}

#[test]
fn the_contract_of_what_is_shared() {
    let stores = Stores::default();
    let means = Means { stores: stores.of(&[store()]), ..means() };
    let (held, event, last) = (Held::default(), Event::begin(), Cell::new(1));
    fakes::with(|host| host.missing_clusters.insert(NO_CLUSTER.into()));
    sharing(|| {
        last.set(last.get() + 1);
        enter(last.get(), Section::Request, [(b":path".to_vec(), b"/".to_vec())]);
        let level = LogLevel::Trace as u32;
        WasmHost::new(&event, &means, &held, level, last.get(), Some(Section::Request))
    });
}

#[test]
fn the_other_section_is_not_there() {
    let (means, held, event) = (means(), Held::default(), Event::begin());
    for (here, there) in
        [(Section::Request, Section::Response), (Section::Response, Section::Request)]
    {
        enter(2, here, [(b":x".to_vec(), b"1".to_vec())]);
        let mut host = host(&event, &means, &held, here);
        let name = FieldName::parse("x-a").unwrap();
        host.edit(there, Edit::Remove(&name));
        assert_eq!((host.fields(there).count(), host.values(there, &name).count()), (0, 0));
        assert!(!host.failed());
    }
}

#[test]
fn a_section_is_read_once_and_again_after_an_edit() {
    let (means, held, event) = (means(), Held::default(), Event::begin());
    enter(2, Section::Request, [(b":path".to_vec(), b"/".to_vec())]);
    let mut host = host(&event, &means, &held, Section::Request);
    let name = FieldName::parse("x-a").unwrap();
    for _ in 0..3 {
        assert_eq!(host.values(Section::Request, &name).count(), 0);
    }
    host.edit(Section::Request, Edit::Remove(&name));
    assert_eq!(host.fields(Section::Request).count(), 1);
    assert_eq!(fakes::with(|host| host.count("proxy_get_header_map_pairs")), 2);
}

#[test]
fn lines_that_were_read_stay_as_they_were_and_serve_those_who_read_later() {
    let (means, held, event) = (means(), Held::default(), Event::begin());
    let lines = [(b":status".to_vec(), b"500".to_vec()), (b"x-a".to_vec(), b"1".to_vec())];
    enter(2, Section::Response, lines);
    let mut host = host(&event, &means, &held, Section::Response);
    let first = host.lines();
    host.edit(Section::Response, Edit::Remove(&FieldName::parse("x-a").unwrap()));
    assert_eq!(host.values(Section::Response, FieldName::STATUS).count(), 1);
    assert_eq!(fakes::with(|host| host.count("proxy_get_header_map_pairs")), 1);
    assert_eq!(host.fields(Section::Response).count(), 1);
    let first: Vec<_> = first.iter().collect();
    assert_eq!(first, [(&b":status"[..], &b"500"[..]), (b"x-a", b"1")]);
    assert!(!host.failed());
}

#[test]
fn whether_a_field_is_there_is_asked_by_itself_and_an_error_is_a_failure() {
    let (means, held, event) = (means(), Held::default(), Event::begin());
    enter(2, Section::Request, [(b":path".to_vec(), b"/".to_vec())]);
    let host = host(&event, &means, &held, Section::Request);
    assert!(host.has(Section::Request, FieldName::PATH));
    assert_eq!(fakes::with(|host| host.count("proxy_get_header_map_pairs")), 0);
    assert!(!host.failed());
    fakes::with(|host| host.refused.insert("proxy_get_header_map_value", 10));
    assert!(!host.has(Section::Request, FieldName::PATH));
    assert!(host.failed());
}

#[test]
fn attributes_are_properties_and_an_error_is_a_failure() {
    let (means, held, event) = (means(), Held::default(), Event::begin());
    enter(2, Section::Request, []);
    let host = host(&event, &means, &held, Section::Request);
    let set = |value: &[u8]| {
        let path = b"connection\0requested_server_name".to_vec();
        fakes::with(|host| host.properties.insert(path, value.to_vec()));
    };
    assert_eq!(host.attribute(Attribute::RequestedServerName), None);
    set(b"");
    assert_eq!(host.attribute(Attribute::RequestedServerName), None);
    set(b"a.example");
    assert_eq!(host.attribute(Attribute::RequestedServerName), Some(&b"a.example"[..]));
    assert!(!host.failed());
    fakes::with(|host| host.refused.insert("proxy_get_property", 10));
    assert_eq!(host.attribute(Attribute::RequestedServerName), None);
    assert!(host.failed());
}

#[test]
fn what_is_logged_may_log() {
    struct Chatty<'h>(&'h WasmHost<'h>);
    impl fmt::Display for Chatty<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.log(Level::Info, format_args!("inner"));
            f.write_str("outer")
        }
    }
    let (means, held, event) = (means(), Held::default(), Event::begin());
    let level = LogLevel::Info as u32;
    let host = WasmHost::new(&event, &means, &held, level, 2, Some(Section::Request));
    host.log(Level::Info, format_args!("an {} line", Chatty(&host)));
    host.log(Level::Debug, format_args!("nothing"));
    assert_eq!(fakes::with(|host| host.log_lines()), ["inner", "an outer line"]);
}
