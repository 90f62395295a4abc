//! Resources of Kubernetes that have a configuration in them.

use super::carrier::{Artefact, Carrier, Names};
use super::form::{Form, is_pintles};
use super::{Found, Survey, Unreadable, Within, document, envoy, shown, unique};
use crate::tree::{self, Member, Node, Syntax};

/// How many ConfigMaps are looked into that stand inside of one another, each in a value of the one around
/// it. Each is read once more for every one around it; more than one is hardly ever wanted.
const MOST_NESTED: usize = 8;

/// Whether it is a resource of Kubernetes.
pub(super) fn is_resource(node: &Node<'_>) -> bool {
    ["apiVersion", "kind"]
        .iter()
        .all(|key| node.get(key).is_some_and(|value| value.text().is_some()))
}

pub(super) fn read(
    node: Node<'_>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let mut node = node;
    node.merge();
    unique(&node)?;
    resource(&node, within, survey)
}

fn resource(node: &Node<'_>, within: &Within<'_>, survey: &mut Survey) -> Result<(), Unreadable> {
    let kind = node.get("kind").and_then(Node::text).unwrap_or_default();
    if let (true, Some(items)) = (kind.ends_with("List"), node.get("items")) {
        return items.elements().iter().try_for_each(|item| resource(item, within, survey));
    }
    let within = &Within::Resource(within, title(kind, node));
    let Some(spec) = node.get("spec") else {
        return match kind {
            "ConfigMap" => config_map(node, within, survey),
            _ => envoy::read(node, within, survey),
        };
    };
    match kind {
        "WasmPlugin" => wasm_plugin(spec, within, survey),
        "TrafficExtension" => match spec.get("wasm") {
            Some(wasm) => wasm_plugin(wasm, within, survey),
            None => Ok(()),
        },
        "EnvoyExtensionPolicy" => extension_policy(spec, within, survey),
        _ => envoy::read(node, within, survey),
    }
}

/// `WasmPlugin shop/pintle`.
fn title(kind: &str, node: &Node<'_>) -> String {
    let text = |key| node.descend(&["metadata", key]).and_then(Node::text).map(shown);
    let name = text("name").or_else(|| text("generateName")).unwrap_or_default();
    match text("namespace") {
        Some(namespace) => format!("{} {namespace}/{name}", shown(kind)),
        None => format!("{} {name}", shown(kind)).trim_end().to_owned(),
    }
}

/// A `WasmPlugin`, or the part of a `TrafficExtension` that is the same.
fn wasm_plugin(
    spec: &Node<'_>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let url = spec.get("url");
    let plugin_name = spec.get("pluginName").and_then(Node::text);
    let names = Names(vec![url.and_then(Node::text), plugin_name]);
    let open = spec.get("failStrategy").filter(|node| node.text() == Some("FAIL_OPEN"));
    let network = spec.get("type").filter(|node| node.text() == Some("NETWORK"));
    let floating = url.filter(|_| spec.get("sha256").is_none()).filter(|url| is_floating(url));
    let carrier = Carrier::of(names.wasm())
        .fails_open(open)
        .refuse(network.map(|node| node.at), "Pintle is a filter for HTTP")
        .warn(floating.map(|node| node.at), UNPINNED);
    let form = match spec.get("pluginConfig") {
        None => Form::nothing(spec.at),
        // Istio's agent hands an empty one on as none.
        Some(config) if config.is_object() && config.members().is_empty() => {
            Form::nothing(config.at)
        }
        Some(config) => Form::of_value(config),
    };
    let known = names.are_pintles() || spec.get("pluginConfig").is_some_and(is_pintles);
    add(form, known, carrier, within, survey);
    Ok(())
}

const UNPINNED: &str =
    "no `sha256`: whoever can push to this address decides what runs in the proxy";

/// Whether what is at an address may change.
fn is_floating(url: &Node<'_>) -> bool {
    url.text().is_some_and(|url| !url.starts_with("file://") && !url.contains("@sha256:"))
}

fn extension_policy(
    spec: &Node<'_>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let elements = |key| spec.get(key).map(Node::elements).unwrap_or_default();
    for wasm in elements("wasm") {
        let text = |path: &[&str]| wasm.descend(path).and_then(Node::text);
        let sources = [&["code", "image"], &["code", "http"]].map(|path| wasm.descend(path));
        let mut names = vec![text(&["name"]), text(&["rootID"])];
        names.extend(sources.iter().flatten().map(|source| source.get("url")?.text()));
        let names = Names(names);
        let floating =
            sources.into_iter().flatten().filter(|source| source.get("sha256").is_none());
        let floating = floating.filter_map(|source| source.get("url")).find(|url| is_floating(url));
        let open = wasm.get("failOpen").filter(|open| open.is_true());
        let carrier =
            Carrier::of(names.wasm()).fails_open(open).warn(floating.map(|node| node.at), UNPINNED);
        of_policy(wasm, &names, carrier, within, survey);
    }
    for module in elements("dynamicModule") {
        let text = |key| module.get(key).and_then(Node::text);
        let names = Names(vec![text("name"), text("filterName")]);
        of_policy(module, &names, Carrier::of(Artefact::Module), within, survey);
    }
    Ok(())
}

fn of_policy(
    extension: &Node<'_>,
    names: &Names<'_>,
    carrier: Carrier,
    within: &Within<'_>,
    survey: &mut Survey,
) {
    let config = extension.get("config");
    let form = config.map_or_else(|| Form::nothing(extension.at), Form::of_value);
    add(form, names.are_pintles() || config.is_some_and(is_pintles), carrier, within, survey);
}

fn add(form: Form, known: bool, carrier: Carrier, within: &Within<'_>, survey: &mut Survey) {
    if known {
        survey.found.push(Found::new(within, form, carrier));
    } else {
        survey.others.push(within.to_string());
    }
}

/// Values that are YAML or JSON in turn.
fn config_map(node: &Node<'_>, within: &Within<'_>, survey: &mut Survey) -> Result<(), Unreadable> {
    // Each has its own name and that of a key of it.
    if within.names().div_ceil(2) > MOST_NESTED {
        let reason = format!("more than {MOST_NESTED} ConfigMaps inside of one another");
        return Err(Unreadable::at(node.at, reason));
    }
    for Member { key, value, .. } in node.get("data").map(Node::members).unwrap_or_default() {
        let Some(scalar) = value.scalar() else { continue };
        let text = scalar.as_text();
        let within = Within::Resource(within, format!("key `{}`", shown(key)));
        match tree::read(&text, Syntax::Any) {
            Ok(nodes) => {
                // `{}` may be anything there.
                let nodes = nodes.into_iter().filter(|node| !node.members().is_empty());
                nodes.into_iter().try_for_each(|node| document(node, &within, survey))?;
            }
            Err(error) if scalar.text.contains("\"filters\"") || scalar.text.contains("pintle") => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
    Ok(())
}
