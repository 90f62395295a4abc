//! Istio's MeshConfig and ProxyConfig, which no custom resource definition describes: whether their fields
//! stand in the `.proto` files that they are made from.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::yaml;

const FILES: [&str; 2] = ["mesh/v1alpha1/config.proto", "mesh/v1alpha1/proxy.proto"];
/// The annotation with the ProxyConfig of a workload.
const ANNOTATION: &str = "proxy.istio.io/config";

/// Values for the chart of istiod that hold a MeshConfig and nothing else.
pub(super) fn check(documents: &[Value], istio: &Path) -> Result<()> {
    let [values] = documents else { bail!("not one document") };
    let names: Vec<&String> = values.as_object().into_iter().flat_map(|map| map.keys()).collect();
    ensure!(names == ["meshConfig"], "there is {names:?} in it");
    Messages::read(istio)?.check("MeshConfig", &values["meshConfig"], "meshConfig")
}

/// The ProxyConfig in the annotations of a workload, if it has one.
pub(super) fn check_annotation(workload: &Value, istio: &Path) -> Result<()> {
    let annotations = &workload["spec"]["template"]["metadata"]["annotations"];
    let Some(text) = annotations[ANNOTATION].as_str() else { return Ok(()) };
    let documents = yaml::documents(text)?;
    let [config] = &*documents else { bail!("{ANNOTATION}: not one document") };
    Messages::read(istio)?.check("ProxyConfig", config, ANNOTATION)
}

/// Messages by their full names; of each the types of its fields, by their names in JSON.
#[derive(Debug, Default, PartialEq)]
struct Messages(BTreeMap<String, BTreeMap<String, String>>);

impl Messages {
    fn read(istio: &Path) -> Result<Self> {
        let mut messages = Self::default();
        for file in FILES {
            let file = istio.join(file);
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("reading {}", file.display()))?;
            messages.parse(&text);
        }
        Ok(messages)
    }

    fn parse(&mut self, text: &str) {
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let text = lines.collect::<Vec<_>>().join(" ");
        // The blocks around a statement: of a message its name, of a `oneof` nothing.
        let mut blocks: Vec<Option<String>> = Vec::new();
        for statement in text.split_inclusive(['{', '}', ';']) {
            let (words, end) = statement.split_at(statement.len().saturating_sub(1));
            match end {
                "{" => {
                    let name =
                        words.trim().strip_prefix("message ").map(|name| name.trim().to_owned());
                    if let Some(name) = &name {
                        self.0.entry(full_name(&blocks, name)).or_default();
                    }
                    blocks.push(name);
                }
                "}" => drop(blocks.pop()),
                _ => {
                    if let Some((name, type_)) = field(words) {
                        let message =
                            blocks.iter().flatten().cloned().collect::<Vec<_>>().join(".");
                        if let Some(fields) = self.0.get_mut(&message) {
                            fields.insert(name, type_);
                        }
                    }
                }
            }
        }
    }

    fn check(&self, message: &str, value: &Value, place: &str) -> Result<()> {
        let Some(fields) = self.0.get(message) else { return Ok(()) };
        let members = value.as_object().with_context(|| format!("{place} is no object"))?;
        for (name, value) in members {
            let place = format!("{place}.{name}");
            let type_ = fields.get(name).with_context(|| format!("{message} has no {place}"))?;
            let Some(inner) = self.resolve(message, type_) else { continue };
            match value {
                Value::Array(list) => {
                    list.iter().try_for_each(|value| self.check(&inner, value, &place))?;
                }
                value => self.check(&inner, value, &place)?,
            }
        }
        Ok(())
    }

    /// The full name of a message that a field in another one is of; nothing: no message.
    fn resolve(&self, message: &str, type_: &str) -> Option<String> {
        let mut scope = message;
        loop {
            let name = format!("{scope}.{type_}");
            if self.0.contains_key(&name) {
                return Some(name);
            }
            match scope.rsplit_once('.') {
                Some((outer, _)) => scope = outer,
                None => return self.0.contains_key(type_).then(|| type_.to_owned()),
            }
        }
    }
}

fn full_name(blocks: &[Option<String>], name: &str) -> String {
    let outer = blocks.iter().flatten().map(String::as_str);
    outer.chain([name]).collect::<Vec<_>>().join(".")
}

/// `repeated string extra_stat_tags = 35`: its name in JSON, and its type.
fn field(statement: &str) -> Option<(String, String)> {
    let (declared, _) = statement.split_once('=')?;
    let mut words = declared.split_whitespace().rev();
    let (name, type_) = (words.next()?, words.next()?);
    let mut json_name = String::new();
    let mut upper = false;
    for character in name.chars() {
        match character {
            '_' => upper = true,
            c if upper => {
                json_name.extend(c.to_uppercase());
                upper = false;
            }
            c => json_name.push(c),
        }
    }
    Some((json_name, type_.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Messages;

    #[test]
    fn fields_that_stand_in_a_proto_file() {
        let mut messages = Messages::default();
        messages.parse(
            "message Mesh { // {\n message Log { oneof format { string text = 1; } }\n\
             Log access_log = 2 [deprecated = true]; Proxy default = 3; }\n\
             enum Kind { A = 0; }\n message Proxy { repeated string extra_stat_tags = 1; }",
        );
        let check = |value| messages.check("Mesh", &value, "mesh").map_err(|e| e.to_string());
        assert_eq!(check(json!({"accessLog": {"text": "a"}})), Ok(()));
        assert_eq!(check(json!({"default": {"extraStatTags": ["a"]}})), Ok(()));
        let error = check(json!({"default": {"extraStatTag": ["a"]}})).unwrap_err();
        assert_eq!(error, "Proxy has no mesh.default.extraStatTag");
        assert!(check(json!({"accessLog": {"json": 1}})).is_err());
        assert!(check(json!({"A": 1})).is_err());
    }
}
