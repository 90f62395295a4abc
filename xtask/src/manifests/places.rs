//! For which proxies each manifest is, and where the filter stands in them: as the tables say that lead people to it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::files::{File, Form};

/// The columns with a meaning here.
const PROXIES: &str = "proxies";
const PHASE: &str = "phase, priority";

/// The kinds that bring a filter into a proxy.
const KINDS: [&str; 4] = ["WasmPlugin", "TrafficExtension", "EnvoyFilter", "EnvoyExtensionPolicy"];

/// Those of them that Istio puts into a phase.
const PLUGINS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];

/// The ways in which these say which proxies they mean.
const WAYS: [&str; 5] =
    ["selector", "workloadSelector", "targetRef", "targetRefs", "targetSelectors"];

/// The places by the names of the files.
pub(super) struct Places(BTreeMap<String, Place>);

/// A row of a table.
#[derive(Debug, Default, PartialEq)]
struct Place {
    /// `app` and `web`, a label of pods; or `Gateway` and its name.
    proxies: (String, String),
    namespace: String,
    /// For what comes in alone.
    server: bool,
    phase: Option<(String, i64)>,
}

impl Places {
    /// Those in the tables of all pages.
    pub(super) fn read(files: &[File]) -> Result<Self> {
        let mut places = BTreeMap::new();
        for page in files.iter().filter(|file| file.form == Form::Page) {
            let folder = page.name.rsplit_once('/').map_or("", |(folder, _)| folder);
            for (link, place) in rows(&page.text).with_context(|| page.name.clone())? {
                let file = format!("{folder}/{link}");
                ensure!(places.insert(file, place).is_none(), "{}: {link} stands twice", page.name);
            }
        }
        Ok(Self(places))
    }

    /// What is wrong with where the resources of a file stand.
    pub(super) fn problems(&self, file: &str, resources: &[Value]) -> Vec<String> {
        let mut problems = Vec::new();
        for resource in resources {
            let kind = resource["kind"].as_str().unwrap_or_default();
            if !KINDS.contains(&kind) {
                continue;
            }
            let Some(place) = self.0.get(file) else {
                problems.push(format!("{kind}: no table says for which proxies it is"));
                continue;
            };
            for (what, is, meant) in place.points(kind, resource) {
                if is != meant {
                    problems.push(format!("{kind}: {what} is {is}, in the table it is {meant}"));
                }
            }
        }
        problems
    }
}

impl Place {
    /// What is to be as in the table: its name, how it is, how it is meant.
    fn points(&self, kind: &str, resource: &Value) -> Vec<(&'static str, Value, Value)> {
        let spec = &resource["spec"];
        let ways = WAYS.into_iter().filter(|way| !spec[way].is_null());
        let ways = ways.map(|way| (way.to_owned(), spec[way].clone())).collect::<Value>();
        let mut points = vec![
            ("the namespace", resource["metadata"]["namespace"].clone(), json!(self.namespace)),
            ("the selection of proxies", ways, self.ways(kind)),
        ];
        if PLUGINS.contains(&kind) {
            let phase = self.phase.as_ref();
            let priority = phase.map(|(_, priority)| priority);
            points.push(("phase", spec["phase"].clone(), json!(phase.map(|(name, _)| name))));
            points.push(("priority", spec["priority"].clone(), json!(priority)));
            let traffic = self.server.then(|| json!([{"mode": "SERVER"}]));
            points.push(("match", spec["match"].clone(), json!(traffic)));
        }
        points
    }

    fn ways(&self, kind: &str) -> Value {
        let (key, value) = &self.proxies;
        match (key.as_str(), kind) {
            ("Gateway", _) => json!({"targetRefs": [
                {"group": "gateway.networking.k8s.io", "kind": key, "name": value},
            ]}),
            (_, "EnvoyFilter") => json!({"workloadSelector": {"labels": {key: value}}}),
            _ => json!({"selector": {"matchLabels": {key: value}}}),
        }
    }
}

/// The files that a page's tables lead to, and where these stand.
fn rows(page: &str) -> Result<Vec<(String, Place)>> {
    let mut found = Vec::new();
    let mut heading: Vec<&str> = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() < 3 {
            heading.clear();
        } else if heading.is_empty() {
            heading = cells;
        } else {
            let cell = |name: &str| {
                let column = heading.iter().position(|heading| *heading == name)?;
                cells.get(column).copied().filter(|cell| !cell.is_empty())
            };
            let Some(proxies) = cell(PROXIES).filter(|cell| cell.contains('`')) else { continue };
            for part in line.split("](").skip(1) {
                let (link, _) = part.split_once(')').context("a link without an end")?;
                let place = place(proxies, cell(PHASE)).with_context(|| line.to_owned())?;
                found.push((link.to_owned(), place));
            }
        }
    }
    Ok(found)
}

/// `app: web` in `shop`, `SERVER`; and `AUTHZ`, 100.
fn place(proxies: &str, phase: Option<&str>) -> Result<Place> {
    let words: Vec<&str> = proxies.split('`').skip(1).step_by(2).collect();
    let (selected, namespace, mode) = match *words {
        [selected, namespace] => (selected, namespace, None),
        [selected, namespace, mode] => (selected, namespace, Some(mode)),
        _ => anyhow::bail!("{proxies} is not understood"),
    };
    ensure!(mode.is_none_or(|mode| mode == "SERVER"), "{proxies} is not understood");
    let (key, value) = selected.split_once(": ").context("neither a label nor a Gateway")?;
    let phase = phase.map(|phase| -> Result<(String, i64)> {
        let (name, priority) = phase.split_once(", ").context("a phase without a priority")?;
        Ok((name.trim_matches('`').to_owned(), priority.parse().context("no priority")?))
    });
    Ok(Place {
        proxies: (key.to_owned(), value.to_owned()),
        namespace: namespace.to_owned(),
        server: mode.is_some(),
        phase: phase.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Place, rows};

    #[test]
    fn tables_of_places() {
        let page = "\
| for | file | phase, priority | proxies |
|---|---|---|---|
| a | [x](a.yaml), [y](b.yaml) | `AUTHZ`, 100 | `app: web` in `shop`, `SERVER` |
| none | [x](c.yaml) | | |

| for | proxies |
|---|---|
| [x](d.yaml) | `Gateway: shop` in `shop` |

| for | file |
|---|---|
| none | [x](e.yaml) |
";
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let web = || Place {
            proxies: pair("app", "web"),
            namespace: "shop".into(),
            server: true,
            phase: Some(("AUTHZ".into(), 100)),
        };
        let gateway = Place {
            proxies: pair("Gateway", "shop"),
            namespace: "shop".into(),
            ..Place::default()
        };
        let expected = [("a.yaml", web()), ("b.yaml", web()), ("d.yaml", gateway)];
        assert_eq!(rows(page).unwrap(), expected.map(|(file, place)| (file.to_owned(), place)));
        assert!(rows(&page.replace("AUTHZ`, 100", "AUTHZ`")).is_err());
        assert!(rows(&page.replace("SERVER", "CLIENT")).is_err());
    }
}
