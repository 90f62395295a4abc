//! The counters of the filters, by the names that each host gives them.

use std::collections::BTreeMap;

use crate::artefact::Artefact;

/// A regular expression that the names of our counters match, on both hosts.
pub(crate) const FILTER: &str = "pintle";

/// Of what Envoy counts, what an artefact's filters count: `<filter>.allowed`,
/// `<filter>.denied.<reason>`, `<filter>.observed`, as the corpus calls them.
pub(crate) fn counters(artefact: Artefact, stats: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    stats.iter().filter_map(|(name, &value)| Some((counter(artefact, name)?, value))).collect()
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

fn counter(artefact: Artefact, name: &str) -> Option<String> {
    match artefact {
        Artefact::Native => {
            let name = name.strip_prefix("pintle.")?;
            let ours = name.ends_with(".allowed")
                || name.ends_with(".observed")
                || name.contains(".denied.");
            ours.then(|| name.to_owned())
        }
        Artefact::Wasm => {
            let (filter, rest) =
                name.strip_prefix("wasmcustom.pintle_filter=.=")?.split_once(";.;")?;
            match rest.strip_prefix("pintle_reason=.=") {
                Some(rest) => {
                    let reason = rest.strip_suffix(";.;pintle_denied")?;
                    Some(format!("{filter}.denied.{reason}"))
                }
                None => Some(format!("{filter}.{}", rest.strip_prefix("pintle_")?)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{counters, growth};
    use crate::artefact::Artefact;

    #[test]
    fn one_name_for_both() {
        let stats = [
            ("pintle.basic_auth.denied.x", 1),
            ("pintle.basic_auth.allowed", 2),
            ("wasmcustom.pintle_filter=.=basic_auth;.;pintle_reason=.=x;.;pintle_denied", 1),
            ("wasmcustom.pintle_filter=.=basic_auth;.;pintle_allowed", 2),
            ("wasm.pintle.vm_reload", 7),
        ];
        let stats = stats.map(|(name, value)| (name.to_owned(), value)).into();
        let expected =
            [("basic_auth.allowed".to_owned(), 2), ("basic_auth.denied.x".to_owned(), 1)].into();
        assert_eq!(counters(Artefact::Wasm, &stats), expected);
        assert_eq!(counters(Artefact::Native, &stats), expected);
        assert_eq!(growth(&expected, &expected), [].into());
        assert_eq!(growth(&[].into(), &expected), expected);
    }
}
