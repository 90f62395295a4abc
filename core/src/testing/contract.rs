//! The contract of [`Host`], as tests that every host passes: the one in memory, and those that the
//! targets have over fakes of their ABI.
//!
//! `make` gives a host in the event of a section that has just arrived with these field lines, names in
//! lower case and pseudo-headers first; of the connection it knows nothing.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::corpus::{FieldLines, NOWHERE};
use crate::callout::Errand;
use crate::fields::{FieldName, FieldValue};
use crate::host::{Attribute, Edit, Host, Level, Metric, Repeated, Section};

pub use self::sharing::{sharing, store};

mod sharing;

/// All of the contract.
///
/// # Panics
///
/// Where the host breaks it.
pub fn contract<H: Host>(make: impl Fn(Section, FieldLines) -> H) {
    for section in [Section::Request, Section::Response] {
        let make = |lines: &[(&str, &[u8])]| {
            let first = match section {
                Section::Request => REQUEST,
                Section::Response => RESPONSE,
            };
            let lines = first.iter().chain(lines);
            make(
                section,
                lines.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect(),
            )
        };
        fields_come_in_order(section, make);
        values_are_all_of_a_field(section, make);
        what_is_there_is_known_at_first_sight(section, make);
        sole_refuses_repeats(section, make);
        bytes_are_bytes(section, make);
        set_replaces_all(section, make);
        append_adds_behind(section, make);
        remove_removes_all(section, make);
        edits_are_seen_by_later_reads(section, make);
        sections_are_two(section, make);
        lent_bytes_stay(section, make);
        many_fields(section, make);
        levels_are_in_order(make);
        nothing_is_known_of_the_connection(make);
    }
}

type Line<'l> = (&'l str, &'l [u8]);

const REQUEST: &[Line<'static>] = &[
    (":method", b"GET"),
    (":path", b"/a?b"),
    (":authority", b"example.com"),
    (":scheme", b"http"),
];
const RESPONSE: &[Line<'static>] = &[(":status", b"200")];

fn fields_come_in_order<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let lines: &[Line<'_>] =
        &[("x-b", b"1"), ("x-a", b"2"), ("x-c", b""), ("x-b", b"3"), ("x-a", b"2")];
    let host = make(lines);
    assert_eq!(own_lines(&host, section), owned(lines), "order of arrival, repeats kept");
    for _ in 0..2 {
        assert!(host.fields(section).all(|(name, _)| !name.iter().any(u8::is_ascii_uppercase)));
    }
    let pseudo: &[&FieldName] = match section {
        Section::Request => {
            &[FieldName::METHOD, FieldName::PATH, FieldName::AUTHORITY, FieldName::SCHEME]
        }
        Section::Response => &[FieldName::STATUS],
    };
    let expected = if section == Section::Request { REQUEST } else { RESPONSE };
    for (name, (_, value)) in pseudo.iter().zip(expected) {
        assert_eq!(values(&host, section, name), [value.to_vec()], "{name}");
        let mut listed = host.fields(section).filter(|(n, _)| *n == name.as_bytes());
        assert_eq!(listed.next().map(|(_, listed)| listed), Some(*value), "{name} is listed");
        assert!(listed.next().is_none(), "{name} is listed once");
    }
}

fn values_are_all_of_a_field<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let host = make(&[("x-a", b"1"), ("x-ab", b"no"), ("x-a", b""), ("a", b"no"), ("x-a", b"1")]);
    assert_eq!(values(&host, section, &name("X-A")), [b"1".to_vec(), b"".to_vec(), b"1".to_vec()]);
    assert_eq!(values(&host, section, &name("x-absent")), [b""; 0]);
    assert_eq!(host.values(section, &name("x-a")).next(), Some(&b"1"[..]), "the first alone");
    assert!(host.has(section, &name("X-A")) && !host.has(section, &name("x-absent")));
}

fn what_is_there_is_known_at_first_sight<H: Host>(
    section: Section,
    make: impl Fn(&[Line<'_>]) -> H,
) {
    let mut host = make(&[("x-a", b"1"), ("x-empty", b"")]);
    assert!(host.has(section, &name("x-a")) && host.has(section, &name("x-empty")));
    assert!(!host.has(section, &name("x-new")));
    host.edit(section, Edit::Set(&name("x-new"), value(b"1")));
    host.edit(section, Edit::Remove(&name("x-a")));
    assert!(host.has(section, &name("x-new")) && !host.has(section, &name("x-a")));
    assert_eq!(own_lines(&host, section), owned(&[("x-empty", b""), ("x-new", b"1")]));
    assert!(host.has(section, &name("x-new")) && !host.has(section, &name("x-a")));
}

fn sole_refuses_repeats<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let host = make(&[("x-one", b"1"), ("x-two", b"1"), ("x-empty", b""), ("x-two", b"1")]);
    assert_eq!(host.sole(section, &name("x-one")), Ok(Some(&b"1"[..])));
    assert_eq!(host.sole(section, &name("x-empty")), Ok(Some(&b""[..])));
    assert_eq!(host.sole(section, &name("x-absent")), Ok(None));
    assert_eq!(host.sole(section, &name("x-two")), Err(Repeated));
}

fn bytes_are_bytes<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let odd: Vec<u8> = (0x80..=0xff).chain(*b"\t \"\\%,;").chain(0x80..=0xff).collect();
    let lines: &[Line<'_>] = &[("x-odd", &odd), ("x-cut", b"\xf0\x9f\x92")];
    let mut host = make(lines);
    assert_eq!(own_lines(&host, section), owned(lines));
    host.edit(section, Edit::Append(&name("x-odd"), value(&odd)));
    host.edit(section, Edit::Set(&name("x-new"), value(&odd)));
    assert_eq!(values(&host, section, &name("x-odd")), [odd.clone(), odd.clone()]);
    assert_eq!(values(&host, section, &name("x-new")), [odd]);
}

fn set_replaces_all<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let mut host = make(&[("x-a", b"1"), ("x-b", b"b"), ("x-a", b"2"), ("x-a", b"3")]);
    host.edit(section, Edit::Set(&name("x-a"), value(b"new")));
    assert_eq!(values(&host, section, &name("x-a")), [b"new".to_vec()], "in place of all");
    host.edit(section, Edit::Set(&name("x-new"), value(b"new")));
    assert_eq!(values(&host, section, &name("x-new")), [b"new".to_vec()], "in place of none");
    assert_eq!(values(&host, section, &name("x-b")), [b"b".to_vec()], "and of no other");
}

fn append_adds_behind<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let mut host = make(&[("x-a", b"1"), ("x-b", b"b")]);
    host.edit(section, Edit::Append(&name("x-a"), value(b"2")));
    host.edit(section, Edit::Append(&name("x-a"), value(b"1")));
    host.edit(section, Edit::Append(&name("x-new"), value(b"1")));
    assert_eq!(values(&host, section, &name("x-a")), [b"1".to_vec(), b"2".to_vec(), b"1".to_vec()]);
    assert_eq!(values(&host, section, &name("x-new")), [b"1".to_vec()]);
    assert_eq!(values(&host, section, &name("x-b")), [b"b".to_vec()]);
}

fn remove_removes_all<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let mut host = make(&[("x-a", b"1"), ("x-b", b"b"), ("x-a", b"")]);
    host.edit(section, Edit::Remove(&name("x-a")));
    host.edit(section, Edit::Remove(&name("x-absent")));
    assert_eq!(own_lines(&host, section), owned(&[("x-b", b"b")]));
    assert_eq!(host.sole(section, &name("x-a")), Ok(None));
    assert!(!host.has(section, &name("x-a")) && host.has(section, &name("x-b")));
}

fn edits_are_seen_by_later_reads<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let mut host = make(&[("x-a", b"1")]);
    for round in 0_u8..20 {
        let digits = round.to_string();
        host.edit(section, Edit::Append(&name("x-b"), value(digits.as_bytes())));
        assert_eq!(host.values(section, &name("x-b")).last(), Some(digits.as_bytes()));
        assert_eq!(
            host.values(section, &name("x-b")).count(),
            usize::from(round).saturating_add(1)
        );
        assert_eq!(host.sole(section, &name("x-a")), Ok(Some(&b"1"[..])));
    }
    host.edit(section, Edit::Remove(&name("x-b")));
    host.edit(section, Edit::Set(&name("x-a"), value(b"2")));
    host.edit(section, Edit::Append(&name("x-b"), value(b"3")));
    host.reroute();
    assert_eq!(own_lines(&host, section), owned(&[("x-a", b"2"), ("x-b", b"3")]));
}

fn sections_are_two<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let mut host = make(&[("x-a", b"1")]);
    host.edit(section, Edit::Set(&name("x-new"), value(b"1")));
    let other = match section {
        Section::Request => Section::Response,
        Section::Response => Section::Request,
    };
    // After the request phase a host may still have the request, or may not.
    for name in [name("x-a"), name("x-new")] {
        assert_eq!(host.values(other, &name).count(), 0, "{name} is of the {section:?} alone");
    }
}

fn lent_bytes_stay<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let lines: &[Line<'_>] = &[("x-a", b"lent"), ("x-b", b"too"), ("x-a", b"again")];
    let host = make(lines);
    let (a, b) = (name("x-a"), name("x-b"));
    let lent: Vec<&[u8]> = host.values(section, &a).collect();
    let listed: Vec<(&[u8], &[u8])> = host.fields(section).collect();
    for level in LEVELS {
        host.log(level, format_args!("a contract: {}", "x".repeat(300)));
        host.logs(level);
    }
    host.add(Metric(0), 1);
    // Metrics that no policy has.
    host.shift(Metric(u32::MAX), -1);
    host.record(Metric(u32::MAX), 1);
    let before = host.now();
    // Whether or not they get out.
    let callout = sharing::callout(NOWHERE, b"content");
    let _ = (host.dispatch(&callout), host.send_out(&callout, Errand::new(())));
    host.wake(host.waker());
    assert!(before <= host.now(), "time goes on");
    assert_eq!(host.attribute(Attribute::SourceAddress), None);
    assert_eq!(host.sole(section, &b), Ok(Some(&b"too"[..])));
    assert_eq!(host.fields(section).count(), listed.len());
    assert_eq!(lent, [&b"lent"[..], b"again"]);
    let own = listed.iter().filter(|(name, _)| !name.starts_with(b":"));
    assert!(own.map(|(name, value)| (name.to_vec(), value.to_vec())).eq(owned(lines)));
}

fn many_fields<H: Host>(section: Section, make: impl Fn(&[Line<'_>]) -> H) {
    let names: Vec<String> = (0..2).flat_map(|_| 0_u8..150).map(|n| format!("x-{n}")).collect();
    let long = alloc::vec![b'v'; 61_440];
    let mut lines: Vec<Line<'_>> =
        names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    lines.push(("x-long", &long));
    let host = make(&lines);
    assert!(own_lines(&host, section) == owned(&lines));
    assert_eq!(values(&host, section, &name("x-149")), [b"x-149".to_vec(), b"x-149".to_vec()]);
    assert_eq!(host.values(section, &name("x-long")).map(<[u8]>::len).last(), Some(long.len()));
}

fn levels_are_in_order<H: Host>(make: impl Fn(&[Line<'_>]) -> H) {
    let host = make(&[]);
    let written = LEVELS.map(|level| host.logs(level));
    assert!(written.is_sorted(), "what logs a level logs those above it: {written:?}");
}

fn nothing_is_known_of_the_connection<H: Host>(make: impl Fn(&[Line<'_>]) -> H) {
    let host = make(&[]);
    for attribute in [
        Attribute::SourceAddress,
        Attribute::RequestedServerName,
        Attribute::SubjectPeerCertificate,
        Attribute::UriSanPeerCertificate,
        Attribute::DnsSanPeerCertificate,
    ] {
        assert_eq!(host.attribute(attribute), None, "{}", attribute.envoy_name());
    }
}

const LEVELS: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

#[expect(clippy::expect_used, reason = "names that stand above")]
fn name(text: &str) -> FieldName {
    FieldName::parse(text).expect("a field name")
}

#[expect(clippy::expect_used, reason = "values that stand above")]
fn value(bytes: &[u8]) -> FieldValue<'_> {
    FieldValue::new(bytes).expect("a field value")
}

fn values<H: Host>(host: &H, section: Section, name: &FieldName) -> Vec<Vec<u8>> {
    host.values(section, name).map(<[u8]>::to_vec).collect()
}

/// All but the pseudo-headers.
fn own_lines<H: Host>(host: &H, section: Section) -> FieldLines {
    let own = host.fields(section).filter(|(name, _)| !name.starts_with(b":"));
    own.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn owned(lines: &[Line<'_>]) -> FieldLines {
    lines.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}
