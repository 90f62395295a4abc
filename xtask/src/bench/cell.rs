//! One subject at one scenario, of one size.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::peers::Peers;
use super::scenario::{Grow, Scenario};
use super::subject::Subject;
use crate::artefact::{Artefact, headers_file};
use crate::bootstrap;
use crate::cargo::Workspace;

/// What one figure is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'s> {
    /// The job.
    pub(crate) scenario: &'s Scenario,
    /// How many of what the scenario varies, if it does.
    pub(crate) size: Option<u32>,
    /// Who does it.
    pub(crate) subject: Subject,
}

/// What stands in a listener, in Envoy's JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    /// The HTTP filters before the router.
    pub(crate) http_filters: Vec<Value>,
    /// Routes without their action, tried before the one for everything.
    pub(crate) routes: Vec<Value>,
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.job(), self.subject.id())
    }
}

impl Cell<'_> {
    /// Whether the scenario has this subject at this size.
    pub(crate) fn exists(&self) -> bool {
        let scenario = self.scenario;
        match self.subject {
            // An empty chain is the same at every size.
            Subject::None => self.size == scenario.sizes()[0],
            // One floor for all jobs.
            Subject::IdleNative | Subject::IdleWasm => scenario.floors,
            subject => {
                scenario.config(subject).is_some()
                    && (scenario.grow(subject).is_some() || self.size == scenario.sizes()[0])
            }
        }
    }

    /// The name of the scenario, with its size.
    pub(crate) fn job(&self) -> String {
        match self.size {
            Some(size) => format!("{}-{size}", self.scenario.id),
            None => self.scenario.id.clone(),
        }
    }

    /// The name of the folder with its files.
    pub(crate) fn label(&self) -> String {
        self.to_string().replace(' ', "-")
    }

    /// The chain with `copies` of the subject in it; an empty one if there is none.
    pub(crate) fn chain(&self, workspace: &Workspace, peers: &Peers, copies: u32) -> Result<Chain> {
        let mut chain =
            self.once(workspace, peers).with_context(|| format!("setting up {self}"))?;
        let once = std::mem::take(&mut chain.http_filters);
        chain.http_filters.extend((0..copies).flat_map(|_| once.clone()));
        Ok(chain)
    }

    fn once(&self, workspace: &Workspace, peers: &Peers) -> Result<Chain> {
        let artefact = |artefact: Artefact, file: &Path| -> Result<Chain> {
            Ok(filter(artefact, file, &self.document()?.to_string()))
        };
        let peer = |kind, config: &str| -> Result<Chain> {
            let file = peers.file(self.subject).context("it was not built")?;
            Ok(filter(kind, file, config))
        };
        match self.subject {
            Subject::None => Ok(Chain::default()),
            Subject::Native => artefact(Artefact::Native, &Artefact::Native.file(workspace)),
            Subject::Wasm => artefact(Artefact::Wasm, &Artefact::Wasm.file(workspace)),
            Subject::WasmHeaders => artefact(Artefact::Wasm, &headers_file(workspace)),
            Subject::Go => peer(Artefact::Wasm, &self.document()?.to_string()),
            Subject::IdleNative => peer(Artefact::Native, ""),
            Subject::IdleWasm => peer(Artefact::Wasm, ""),
            Subject::Lua => Ok(lua(self.config()?)),
            Subject::Envoy => {
                let mut document = self.document()?;
                let mut list = |key: &str| match document[key].take() {
                    Value::Array(list) => list,
                    _ => Vec::new(),
                };
                Ok(Chain { http_filters: list("http_filters"), routes: list("routes") })
            }
        }
    }

    fn config(&self) -> Result<&str> {
        self.scenario.config(self.subject).context("the scenario has no configuration for it")
    }

    /// The configuration at this size.
    fn document(&self) -> Result<Value> {
        let mut document = serde_json::from_str(self.config()?).context("its configuration")?;
        if let (Some(grow), Some(size)) = (self.scenario.grow(self.subject), self.size) {
            grow.apply(&mut document, size)?;
        }
        Ok(document)
    }
}

impl Grow {
    /// Puts `size - 1` items before what the list at hand holds; `{n}` in an item is its number. A
    /// text grows by lines.
    fn apply(&self, document: &mut Value, size: u32) -> Result<()> {
        let items = (1..size).map(|n| self.item.replace("{n}", &n.to_string()));
        match document.pointer_mut(&self.list) {
            Some(Value::Array(list)) => {
                let items: Vec<Value> = items
                    .map(|item| serde_json::from_str(&item).context("an item that is no JSON"))
                    .collect::<Result<_>>()?;
                list.splice(0..0, items);
                Ok(())
            }
            Some(Value::String(text)) => {
                let lines: String = items.map(|item| item + "\n").collect();
                text.insert_str(0, &lines);
                Ok(())
            }
            _ => bail!("there is neither a list nor a text at {:?}", self.list),
        }
    }
}

fn filter(artefact: Artefact, file: &Path, config: &str) -> Chain {
    Chain { http_filters: vec![bootstrap::filter(artefact, file, config)], routes: Vec::new() }
}

fn lua(source: &str) -> Chain {
    let filter = json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": source},
        },
    });
    Chain { http_filters: vec![filter], routes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pintle_core::Policy;
    use pintle_core::config::HashKey;
    use serde_json::json;

    use super::{Cell, Grow};
    use crate::bench::scenario::read_folder;
    use crate::bench::subject::Subject;

    #[test]
    fn every_document_of_the_artefacts_compiles() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/scenarios");
        for scenario in &read_folder(&folder).unwrap() {
            for size in scenario.sizes() {
                let cell = Cell { scenario, size, subject: Subject::Native };
                let document = cell.document().unwrap().to_string();
                let policy = <Policy>::load(document.as_bytes(), HashKey::new([0; 16]));
                let Ok(policy) = policy else { panic!("{} does not load", cell.job()) };
                assert!(!policy.is_inert(), "{}", cell.job());
                // What the one wasm file cannot do, the other one does alone.
                let headers = Cell { scenario, size, subject: Subject::WasmHeaders };
                assert!(!(headers.exists() && policy.replaces_content()), "{}", cell.job());
            }
        }
    }

    #[test]
    fn lists_and_texts_grow_at_the_front() {
        let mut document = json!({"list": [{"n": 0}], "text": "last"});
        Grow { list: "/list".into(), item: r#"{"n": {n}}"#.into() }
            .apply(&mut document, 3)
            .unwrap();
        Grow { list: "/text".into(), item: "line {n}".into() }.apply(&mut document, 2).unwrap();
        let expected = json!({"list": [{"n": 1}, {"n": 2}, {"n": 0}], "text": "line 1\nlast"});
        assert_eq!(document, expected);
        let nowhere = Grow { list: "/nowhere".into(), item: "1".into() };
        assert!(nowhere.apply(&mut document, 2).is_err());
    }
}
