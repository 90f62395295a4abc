//! Prometheus' file of rules.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::promql::Query;
use crate::yaml;

/// The rules of a file.
#[derive(Debug)]
pub(super) struct Rules {
    groups: Vec<Group>,
    /// Their queries.
    pub(super) queries: Vec<Query>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    r#for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Of the operator for Prometheus.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    metadata: BTreeMap<String, serde_json::Value>,
    spec: File,
}

/// Stands for where somebody has the documentation; docs/monitoring.md has it replaced.
const SITE: &str = "https://docs.example.com/pintle/";

/// Who looks at an alert, and when.
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

/// Reads the file.
pub(super) fn read(text: &str) -> Result<Rules> {
    let File { groups } = serde_json::from_value(yaml::one(text)?)?;
    let mut queries = Vec::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let name = match (&rule.record, &rule.alert) {
            (Some(name), None) => {
                ensure!(rule.r#for.is_none(), "{name} has a `for`, and records");
                name
            }
            (None, Some(name)) => {
                let severity = rule.labels.get("severity").map(String::as_str);
                ensure!(severity.is_some_and(|s| SEVERITIES.contains(&s)), "{name}: {severity:?}");
                ensure!(rule.annotations.contains_key("summary"), "{name} has no summary");
                name
            }
            _ => bail!("a rule that is neither a record nor an alert: {}", rule.expr),
        };
        let mut query = Query::parse(format!("rules.yaml: {name}"), &rule.expr)?;
        query.records.clone_from(&rule.record);
        queries.push(query);
    }
    ensure!(!queries.is_empty(), "no rules");
    Ok(Rules { groups, queries })
}

impl Rules {
    /// Whether a `PrometheusRule` has the same.
    pub(super) fn is_in_resource(&self, text: &str) -> Result<()> {
        let resource: Resource = serde_json::from_value(yaml::one(text)?)?;
        ensure!(resource.api_version == "monitoring.coreos.com/v1", "{}", resource.api_version);
        ensure!(resource.kind == "PrometheusRule", "{}", resource.kind);
        ensure!(resource.metadata.contains_key("name"), "it has no name");
        ensure!(resource.spec.groups == self.groups, "it has other rules");
        Ok(())
    }

    /// Whether docs/monitoring.md has a heading for each alert, and each alert leads there.
    pub(super) fn documented(&self, page: &str) -> Result<()> {
        let mut alerts = Vec::new();
        for rule in self.groups.iter().flat_map(|group| &group.rules) {
            let Some(alert) = &rule.alert else { continue };
            let runbook = rule.annotations.get("runbook_url").with_context(|| alert.clone())?;
            let anchor = format!("{SITE}monitoring.html#{}", alert.to_lowercase());
            ensure!(*runbook == anchor, "{alert} leads to {runbook}");
            alerts.push(alert.as_str());
        }
        let headings = page.lines().filter_map(|line| line.strip_prefix("### Pintle"));
        let headings: Vec<String> = headings.map(|rest| format!("Pintle{rest}")).collect();
        ensure!(headings == alerts, "there are {alerts:?}, documented are {headings:?}");
        ensure!(page.contains(SITE), "it does not say what stands in the place of {SITE}");
        Ok(())
    }
}
