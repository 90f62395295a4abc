//! The counters of the filters, by the names that each host gives them.

use std::collections::BTreeMap;

use crate::artefact::Artefact;

/// A regular expression that the names of our counters match, on both hosts.
pub(crate) const FILTER: &str = "pintle";

/// What filters count.
const MEASURES: [&str; 11] = [
    "allowed",
    "observed",
    "denied",
    "callouts",
    "hits",
    "misses",
    "negative_hits",
    "stale",
    "coalesced",
    "evicted",
    "problems",
];
/// What they measure besides.
const GAUGES: [&str; 2] = ["entries", "waiting"];
/// What tells one from another of its name.
const LABELS: [&str; 2] = ["pintle_reason=.=", "pintle_result=.="];

/// Of what Envoy counts, what an artefact's filters count: `<filter>.allowed`,
/// `<filter>.denied.<reason>`, `<filter>.observed`, as the corpus calls them.
pub(crate) fn counters(artefact: Artefact, stats: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let counter = |name: &str| metric(artefact, name, &MEASURES);
    stats.iter().filter_map(|(name, &value)| Some((counter(name)?, value))).collect()
}

/// Likewise the gauges.
pub(crate) fn gauges(artefact: Artefact, stats: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let gauge = |name: &str| metric(artefact, name, &GAUGES);
    stats.iter().filter_map(|(name, &value)| Some((gauge(name)?, value))).collect()
}

/// By how much each counter grew.
pub(crate) fn growth(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    let grew = |(name, &value): (&String, &u64)| {
        let by = value.saturating_sub(before.get(name).copied().unwrap_or_default());
        (by > 0).then(|| (name.clone(), by))
    };
    after.iter().filter_map(grew).collect()
}

fn metric(artefact: Artefact, name: &str, measures: &[&str]) -> Option<String> {
    match artefact {
        Artefact::Native => {
            let name = name.strip_prefix("pintle.")?;
            let (_, what) = name.split_once('.')?;
            let what = what.split('.').next().unwrap_or_default();
            measures.contains(&what).then(|| name.to_owned())
        }
        Artefact::Wasm => {
            let (filter, rest) =
                name.strip_prefix("wasmcustom.pintle_filter=.=")?.split_once(";.;")?;
            let labelled = |label| {
                let (value, measure) = rest.strip_prefix(label)?.split_once(";.;pintle_")?;
                Some((measure, format!(".{value}")))
            };
            let plain = || Some((rest.strip_prefix("pintle_")?, String::new()));
            let (measure, value) = LABELS
                .into_iter()
                .find_map(labelled)
                .or_else(plain)
                .filter(|(measure, _)| measures.contains(measure))?;
            Some(format!("{filter}.{measure}{value}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{counters, gauges, growth};
    use crate::artefact::Artefact;

    #[test]
    fn one_name_for_both() {
        let stats = [
            ("pintle.basic_auth.denied.x", 1),
            ("pintle.basic_auth.allowed", 2),
            ("wasmcustom.pintle_filter=.=basic_auth;.;pintle_reason=.=x;.;pintle_denied", 1),
            ("wasmcustom.pintle_filter=.=basic_auth;.;pintle_allowed", 2),
            ("wasm.pintle.vm_reload", 7),
            ("pintle.x.callouts.granted", 3),
            ("wasmcustom.pintle_filter=.=x;.;pintle_result=.=granted;.;pintle_callouts", 3),
            ("pintle.x.waiting", 4),
            ("wasmcustom.pintle_filter=.=x;.;pintle_waiting", 4),
        ];
        let stats = stats.map(|(name, value)| (name.to_owned(), value)).into();
        let expected = [
            ("basic_auth.allowed".to_owned(), 2),
            ("basic_auth.denied.x".to_owned(), 1),
            ("x.callouts.granted".to_owned(), 3),
        ]
        .into();
        assert_eq!(counters(Artefact::Wasm, &stats), expected);
        assert_eq!(counters(Artefact::Native, &stats), expected);
        for artefact in Artefact::ALL {
            assert_eq!(gauges(artefact, &stats), [("x.waiting".to_owned(), 4)].into());
        }
        assert_eq!(growth(&expected, &expected), [].into());
        assert_eq!(growth(&[].into(), &expected), expected);
    }
}
