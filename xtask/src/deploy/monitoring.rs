//! `deploy/monitoring`: the dashboard and the rules ask for what a real Envoy has.

mod dashboard;
mod page;
mod platform;
mod promql;
mod rules;
mod traffic;

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use self::page::Page;
use self::platform::Platform;
use self::promql::Query;
use super::files;
use super::site::read;
use crate::artefact::Artefact;
use crate::envoy::Envoy;
use crate::guard;
use crate::suite::{Ground, Tally};
use crate::tools;

const FOLDER: &str = "deploy/monitoring";
const DASHBOARD: &str = "grafana-dashboard.json";
const RULES: &str = "rules.yaml";
const OPERATOR: &str = "prometheus-rule.yaml";
const CASES: &str = "rules-test.yaml";
const RUNBOOK: &str = "docs/monitoring.md";

/// Labels that Prometheus adds to what it scrapes, the last two in Kubernetes.
const SCRAPED: [&str; 4] = ["job", "instance", "namespace", "pod"];

/// What Prometheus itself says of what it scrapes.
const OF_PROMETHEUS: &str = "up";

/// Checks each file.
pub(super) async fn run(ground: &Ground, envoy: &Envoy, tally: &mut Tally) -> Result<()> {
    let folder = ground.workspace.root.join(FOLDER);
    let text = |name: &str| read(&folder.join(name));
    let place = "monitoring";
    tally.record(place, "every file in deploy/monitoring is tested", all_known(ground));
    let dashboard = dashboard::queries(&text(DASHBOARD)?).context(DASHBOARD);
    let rules = rules::read(&text(RULES)?).context(RULES);
    let same = rules.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"));
    let same = same.and_then(|rules| rules.is_in_resource(&text(OPERATOR)?));
    tally.record(place, "the resource for the operator has the same rules", same);
    let mut queries = Vec::new();
    match dashboard {
        Ok(found) => {
            tally.record(place, "the dashboard is whole", Ok(()));
            queries.extend(found);
        }
        Err(error) => tally.record(place, "the dashboard is whole", Err(error)),
    }
    match rules {
        Ok(rules) => {
            let documented = rules.documented(&read(&ground.workspace.root.join(RUNBOOK))?);
            tally.record(place, "every alert has its place in docs/monitoring.md", documented);
            queries.extend(rules.queries);
        }
        Err(error) => tally.record(place, "the rules are whole", Err(error)),
    }
    match tools::on_path("promtool") {
        None => tally.skip("rules.yaml with promtool", "promtool (Debian: prometheus)")?,
        Some(program) => {
            for (arguments, name) in [
                (["check", "rules", RULES], "promtool takes the rules"),
                (["test", "rules", CASES], "the alerts fire when they should, and only then"),
            ] {
                let mut promtool = guard::command(&program);
                promtool.args(arguments).current_dir(&folder);
                tally.record(place, name, guard::succeed(promtool, "promtool").await);
            }
        }
    }
    if let Some(artefact) = Artefact::ALL.into_iter().find(|a| !envoy.artefacts().contains(a)) {
        tally.leave_out(format!("the metrics of both artefacts: no {} here", artefact.name()));
        return Ok(());
    }
    for platform in platform::all(&ground.workspace.root)? {
        let found = |page: &Page| asks_for_what_is_there(&queries, &platform, page);
        let page = traffic::page(ground, envoy, &platform, found).await;
        let name =
            "whatever the dashboard and the rules ask for is at /stats/prometheus, and not zero";
        tally.record(place, format!("{}: {name}", platform.name), page);
    }
    Ok(())
}

fn all_known(ground: &Ground) -> Result<()> {
    let mut there = BTreeSet::new();
    files(&ground.workspace.root.join(FOLDER), "", &mut there)?;
    let known: BTreeSet<String> = [DASHBOARD, RULES, OPERATOR, CASES].map(str::to_owned).into();
    ensure!(there == known, "there are {there:?}, but {known:?} are tested");
    Ok(())
}

/// An error unless each selector of each query finds something that is not zero, on a platform that has it.
fn asks_for_what_is_there(queries: &[Query], platform: &Platform, page: &Page) -> Result<()> {
    let recorded: BTreeSet<&str> = queries.iter().filter_map(|q| q.records.as_deref()).collect();
    let mut missing = Vec::new();
    for query in queries {
        for selector in &query.selectors {
            let of_others = |part: &&str| selector.to_string().contains(part);
            if selector.name() == Some(OF_PROMETHEUS) || platform.lacks.iter().any(of_others) {
                continue;
            }
            let recorded = selector.name().is_some_and(|name| recorded.contains(name));
            let found = page.series().filter(|series| match recorded {
                // What it is recorded from is asked for by another query.
                true => selector.suits(series, &SCRAPED),
                false => selector.finds(series, &SCRAPED),
            });
            if !found.clone().any(|series| series.value > 0.0) {
                let why = if found.count() == 0 { "nothing" } else { "zero" };
                missing.push(format!("{}: {selector} finds {why}", query.at));
            }
        }
        // Labels that a query groups by or shows.
        for label in query.labels.iter().filter(|label| !SCRAPED.contains(&label.as_str())) {
            if !page.series().any(|series| series.labels.contains_key(label)) {
                missing.push(format!("{}: no series has the label {label}", query.at));
            }
        }
    }
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(())
}
