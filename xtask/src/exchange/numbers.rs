//! What is counted, under which names.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Test;
use super::site::{Site, denied, filter_name, over_http2, passed, token_of, with};
use crate::artefact::Artefact;
use crate::authority::text;

pub(super) const TESTS: &[Test] =
    &[Test::new("metrics of an exchange", config, |site, at| Box::pin(counted(site, at)))];

/// What there is of each filter that has a cache: see docs/metrics.md.
const COUNTERS: [&str; 6] = ["hits", "misses", "negative_hits", "stale", "coalesced", "evicted"];
const RESULTS: [&str; 4] = ["granted", "refused", "unavailable", "unusable"];
const GAUGES: [&str; 2] = ["entries", "waiting"];
const HISTOGRAM: &str = "callout_ms";

fn config() -> Value {
    json!({"cache": {"ttl": "10m", "negative_ttl": "10m"}})
}

async fn counted(site: &Site, at: &str) -> Result<()> {
    let authority = &site.mesh.authority;
    let mut connection = site.connect(at).await?;
    let mut ask = async |credential: &str, status: u16| {
        let done = site.ask_on(&mut connection, &over_http2(with(credential))).await?;
        match status {
            200 => passed(&done, &token_of(credential)),
            status => denied(&done, status),
        }
    };
    ask("Bearer one", 200).await?;
    ask("Bearer one", 200).await?;
    ask("Bearer one", 200).await?;
    authority.plan(|_| text(403, "no"));
    ask("Bearer two", 403).await?;
    ask("Bearer two", 403).await?;
    authority.plan(|_| text(500, "no"));
    ask("Bearer three", 503).await?;
    authority.plan(|_| text(204, ""));
    ask("Bearer four", 503).await?;
    authority.reset();
    authority.hold();
    let release = async {
        let waiting = site.active(3).await;
        authority.release();
        waiting
    };
    let requests = vec![over_http2(with("Bearer five")); 3];
    let (all, released) = tokio::join!(site.crowd_on(&connection, &requests), release);
    released?;
    for done in all? {
        passed(&done, &token_of("Bearer five"))?;
    }
    let expected: BTreeMap<&str, u64> = [
        ("callouts.granted", 2),
        ("callouts.refused", 1),
        ("callouts.unavailable", 1),
        ("callouts.unusable", 1),
        ("hits", 2),
        ("misses", 5),
        ("negative_hits", 1),
        ("coalesced", 2),
        ("entries", 3),
        ("allowed", 6),
        ("denied.exchange_refused", 2),
        ("denied.exchange_unavailable", 1),
        ("denied.exchange_unusable", 1),
    ]
    .into();
    site.until("the counters", async || {
        let mut seen = site.counted(at).await?;
        seen.retain(|_, value| *value > 0);
        let same = seen.iter().map(|(name, value)| (name.as_str(), *value)).eq(expected.clone());
        Ok((same, format!("{seen:?}, not {expected:?}")))
    })
    .await?;
    named(site, at).await
}

/// All names, at the two pages where they are read.
async fn named(site: &Site, at: &str) -> Result<()> {
    let filter = filter_name(at);
    let page = site.mesh.admin.page("/stats").await?;
    let (stem, label) = match site.artefact {
        Artefact::Native => (format!("pintle.{filter}."), ("callouts.", "")),
        Artefact::Wasm => {
            let stem = format!("wasmcustom.pintle_filter=.={filter};.;");
            (stem, ("pintle_result=.=", ";.;pintle_callouts"))
        }
    };
    let plain = if site.artefact == Artefact::Wasm { "pintle_" } else { "" };
    let singles = COUNTERS.iter().chain(&GAUGES).chain([&HISTOGRAM]);
    let mut names: Vec<String> = singles.map(|name| format!("{stem}{plain}{name}: ")).collect();
    names.extend(RESULTS.map(|result| format!("{stem}{}{result}{}: ", label.0, label.1)));
    for name in names {
        let there = page.lines().any(|line| line.starts_with(&name));
        ensure!(there, "/stats has no {name}, but:\n{}", ours(&page));
    }
    let prefix = if site.artefact == Artefact::Native { "envoy_" } else { "" };
    let tag = format!(r#"pintle_filter="{filter}""#);
    let mut lines = vec![
        format!("{prefix}pintle_hits{{{tag}}} 2"),
        format!("{prefix}pintle_misses{{{tag}}} 5"),
        format!("{prefix}pintle_entries{{{tag}}} 3"),
        format!("{prefix}pintle_waiting{{{tag}}} 0"),
        format!("{prefix}pintle_callout_ms_count{{{tag}}} 5"),
    ];
    for (result, count) in RESULTS.into_iter().zip([2, 1, 1, 1]) {
        lines.push(format!(r#"{prefix}pintle_callouts{{{tag},pintle_result="{result}"}} {count}"#));
    }
    // Envoy puts histograms there when it next merges those of its workers, every few seconds.
    site.until("/stats/prometheus", async || {
        let page = site.mesh.admin.page("/stats/prometheus").await?;
        let missing = lines.iter().find(|line| !page.lines().any(|l| l == line.as_str()));
        let own: Vec<&str> = page.lines().filter(|l| l.contains(&tag)).collect();
        Ok((missing.is_none(), format!("no line {missing:?}, but:\n{}", own.join("\n"))))
    })
    .await
}

fn ours(page: &str) -> String {
    let ours = page.lines().filter(|line| line.contains("pintle_") || line.contains("pintle."));
    ours.take(120).collect::<Vec<_>>().join("\n")
}
