//! Grafana's dashboard.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::promql::Query;

/// The columns of Grafana's grid.
const COLUMNS: u64 = 24;

/// What Grafana puts in place of its own variables, or something alike. The last is none: it is of `label_replace`.
const OWN: [(&str, &str); 3] =
    [("$__rate_interval", "5m"), ("$__range", "1h"), ("\"$1\"", "\"1\"")];

/// Its queries, if it is one that Grafana can show.
pub(super) fn queries(text: &str) -> Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(text).context("it is no JSON")?;
    for member in ["title", "uid"] {
        ensure!(dashboard[member].is_string(), "it has no {member}");
    }
    ensure!(dashboard["schemaVersion"].as_u64() >= Some(39), "its schema is too old");
    ensure!(dashboard["id"].is_null(), "it has the id that it had where it was made");
    let variables = dashboard["templating"]["list"].as_array().context("no variables")?;
    let names: Vec<&str> = variables.iter().filter_map(|v| v["name"].as_str()).collect();
    ensure!(names.first() == Some(&"datasource"), "the first variable is no data source");
    let mut queries = Vec::new();
    for variable in variables.iter().skip(1) {
        let name = variable["name"].as_str().context("a variable without a name")?;
        source(variable).with_context(|| format!("the variable {name}"))?;
        let query = variable["query"]["query"].as_str().context("a variable without a query")?;
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let inner = inner.with_context(|| format!("{query} asks for no labels"))?;
        let (selector, label) = inner.rsplit_once(", ").context("no label is asked for")?;
        let mut query = Query::parse(format!("the variable {name}"), &plain(selector, &names)?)?;
        query.labels.insert(label.to_owned());
        queries.push(query);
    }
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().context("a panel without a title")?;
        ensure!(ids.insert(panel["id"].as_u64()), "{title} has the id of another panel");
        place(panel, &mut taken).with_context(|| title.to_owned())?;
        if panel["type"] == "row" {
            continue;
        }
        source(panel).with_context(|| title.to_owned())?;
        let defaults = &panel["fieldConfig"]["defaults"];
        ensure!(defaults["noValue"].is_null(), "{title} shows something where there is nothing");
        let targets = panel["targets"].as_array().with_context(|| format!("{title} is empty"))?;
        let mut letters = BTreeSet::new();
        for target in targets {
            let letter = target["refId"].as_str().context("a query without a letter")?;
            let at = format!("{title}, query {letter}");
            ensure!(letters.insert(letter), "{at} is there twice");
            source(target).with_context(|| at.clone())?;
            let text = target["expr"].as_str().with_context(|| at.clone())?;
            let legend = target["legendFormat"].as_str().with_context(|| at.clone())?;
            let mut query = Query::parse(at, &plain(text, &names)?)?;
            query.labels.extend(shown(legend));
            queries.push(query);
        }
        ensure!(!letters.is_empty(), "{title} has no queries");
    }
    Ok(queries)
}

/// Whoever imports it chooses the data source.
fn source(of: &Value) -> Result<()> {
    let source = &of["datasource"];
    let chosen = source["uid"] == "${datasource}" && source["type"] == "prometheus";
    ensure!(chosen, "the data source is {source}");
    Ok(())
}

/// In the grid, where no other is.
fn place(panel: &Value, taken: &mut BTreeSet<(u64, u64)>) -> Result<()> {
    let at = |name: &str| panel["gridPos"][name].as_u64().with_context(|| format!("no {name}"));
    let (x, y, width, height) = (at("x")?, at("y")?, at("w")?, at("h")?);
    ensure!(width > 0 && height > 0 && x + width <= COLUMNS, "it is not in the grid");
    for row in y..y + height {
        for column in x..x + width {
            ensure!(taken.insert((row, column)), "another panel is at {column}, {row}");
        }
    }
    Ok(())
}

/// A query as Prometheus gets it.
fn plain(text: &str, names: &[&str]) -> Result<String> {
    let mut text = text.to_owned();
    for (variable, value) in OWN {
        text = text.replace(variable, value);
    }
    for name in names {
        text = text.replace(&format!("\"${name}\""), "\".*\"");
    }
    ensure!(!text.contains('$'), "an unknown variable in {text}");
    Ok(text)
}

/// The labels in `{{job}} of {{instance}}`.
fn shown(legend: &str) -> impl Iterator<Item = String> {
    legend.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.to_owned()))
}
