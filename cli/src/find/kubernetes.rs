//! Resources of Kubernetes that have a configuration in them.

use super::carrier::{Artefact, Carrier, Names, Remark, UNPINNED, is_pinned, mentions_pintle};
use super::envoy::{self, Fetcher};
use super::form::{self, Form, is_pintles};
use super::{Found, NOT_PINTLES, Part, Survey, Unreadable, Within, shown, unique};
use crate::place::Position;
use crate::tree::{Member, Node, Syntax};

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
    let within = &Within::Part(within, part(kind, node));
    let Some(spec) = node.get("spec") else {
        return match kind {
            "ConfigMap" => values(node, "data", within, survey),
            "Secret" => secret(node, within, survey),
            _ => {
                envoy::read(node, Fetcher::Envoy, within, survey);
                Ok(())
            }
        };
    };
    match kind {
        "WasmPlugin" => wasm_plugin(spec, spec, within, survey),
        "TrafficExtension" => {
            if let Some(wasm) = spec.get("wasm") {
                wasm_plugin(spec, wasm, within, survey);
            }
        }
        "EnvoyExtensionPolicy" => extension_policy(spec, within, survey),
        "EnvoyFilter" => envoy_filter(spec, within, survey),
        _ => envoy::read(node, Fetcher::Envoy, within, survey),
    }
    Ok(())
}

/// `WasmPlugin shop/pintle`.
fn part(kind: &str, node: &Node<'_>) -> Part {
    let text = |key| node.descend(&["metadata", key]).and_then(Node::text);
    let name = text("name").or_else(|| text("generateName")).unwrap_or_default();
    let (kind, shown_name) = (shown(kind), shown(name));
    let title = match text("namespace") {
        Some(namespace) => format!("{kind} {}/{shown_name}", shown(namespace)),
        None => format!("{kind} {shown_name}").trim_end().to_owned(),
    };
    Part { title, is_pintles: mentions_pintle(name) }
}

/// A `WasmPlugin`, or a `TrafficExtension`, of which `wasm` is a part that has the same fields.
fn wasm_plugin(spec: &Node<'_>, wasm: &Node<'_>, within: &Within<'_>, survey: &mut Survey) {
    let url = wasm.get("url");
    let plugin_name = wasm.get("pluginName").and_then(Node::text);
    let names = Names(vec![url.and_then(Node::text), plugin_name]);
    let open = wasm.get("failStrategy").filter(|node| node.text() == Some("FAIL_OPEN"));
    let network = wasm.get("type").filter(|node| node.text() == Some("NETWORK"));
    let floating = url.filter(|_| !is_pinned(wasm)).filter(|url| is_floating(url));
    let carrier = Carrier::of(names.wasm())
        .fails_open(open)
        .refuse(network.map(|node| node.at), "Pintle is a filter for HTTP")
        .warn(floating.map(|node| node.at), UNPINNED)
        .warn(
            matches_nothing(spec),
            "at a gateway this matches nothing, and requests pass unchecked: to a `match` its listeners \
             are those of a `CLIENT`, and have no port (a waypoint's are those of a `SERVER`)",
        );
    let form = match wasm.get("pluginConfig") {
        None => Form::nothing(wasm.at),
        // Istio's agent hands an empty one on as none.
        Some(config) if config.is_empty() => Form::nothing(config.at),
        Some(config) => Form::of_value(config),
    };
    let known = names.are_pintles() || wasm.get("pluginConfig").is_some_and(is_pintles);
    add(form, known, carrier, within, survey);
}

/// Where it says what no listener of the gateway is that it is for.
fn matches_nothing(spec: &Node<'_>) -> Option<Position> {
    let selectors = spec.get("match").filter(|_| is_for_gateway(spec))?;
    let is_for_none = |selector: &Node<'_>| {
        selector.get("mode").and_then(Node::text) == Some("SERVER")
            || selector.get("ports").is_some_and(|ports| !ports.elements().is_empty())
    };
    let elements = selectors.elements();
    (!elements.is_empty() && elements.iter().all(is_for_none)).then_some(selectors.at)
}

fn is_for_gateway(spec: &Node<'_>) -> bool {
    let targets = spec.get("targetRefs").map(Node::elements).unwrap_or_default().iter();
    let mut targets = targets.chain(spec.get("targetRef"));
    targets.any(|target| target.get("kind").and_then(Node::text) == Some("Gateway"))
}

/// An `EnvoyFilter`; what is to be said of a patch is said of the first filter that it brings.
fn envoy_filter(spec: &Node<'_>, within: &Within<'_>, survey: &mut Survey) {
    let patches = spec.get("configPatches").map(Node::elements).unwrap_or_default();
    let mut bringing = Vec::new();
    for patch in patches {
        // The agent sees what comes by ECDS alone; what stands in a listener Envoy fetches itself.
        let fetcher = match patch.get("applyTo").and_then(Node::text) {
            Some("EXTENSION_CONFIG") => Fetcher::IstioAgent,
            _ => Fetcher::Envoy,
        };
        let first = survey.found.len();
        envoy::read(patch, fetcher, within, survey);
        if survey.found.len() > first {
            bringing.push((name_in(patch), patch, first));
        }
    }
    // By ECDS one patch says what a filter is, and another one, under the same name, where.
    let placing = patches.iter().filter_map(|patch| {
        patch.descend(&["patch", "value", "config_discovery"])?;
        let name = name_in(patch)?;
        let (.., found) = bringing.iter().find(|(brought, ..)| *brought == Some(name))?;
        Some((patch, *found))
    });
    let bringing = bringing.iter().map(|(_, patch, found)| (*patch, *found));
    for (patch, found) in bringing.chain(placing) {
        let Some(found) = survey.found.get_mut(found) else { continue };
        found.carrier.remarks.extend(remarks(patch, is_for_gateway(spec)));
    }
}

/// The name of the filter in a patch.
fn name_in<'n>(patch: &'n Node<'_>) -> Option<&'n str> {
    patch.descend(&["patch", "value", "name"]).and_then(Node::text)
}

fn remarks(patch: &Node<'_>, is_for_gateway: bool) -> impl Iterator<Item = Remark> {
    let of_sidecar = patch.descend(&["match", "context"]).filter(|context| {
        is_for_gateway && context.text().is_some_and(|text| text.starts_with("SIDECAR_"))
    });
    let version = patch.descend(&["match", "proxy", "proxyVersion"]);
    [
        (
            of_sidecar,
            "this patch is for sidecars, and `targetRefs` is for a gateway: it changes nothing",
        ),
        (version, "on a proxy of another version there is no filter, and requests pass unchecked"),
    ]
    .map(|(node, message)| Some(Remark { at: node?.at, is_error: false, message }))
    .into_iter()
    .flatten()
}

/// Whether what is at an address may change.
fn is_floating(url: &Node<'_>) -> bool {
    url.text().is_some_and(|url| !url.starts_with("file://") && !url.contains("@sha256:"))
}

fn extension_policy(spec: &Node<'_>, within: &Within<'_>, survey: &mut Survey) {
    let elements = |key| spec.get(key).map(Node::elements).unwrap_or_default();
    for wasm in elements("wasm") {
        let text = |path: &[&str]| wasm.descend(path).and_then(Node::text);
        let sources = [&["code", "image"], &["code", "http"]].map(|path| wasm.descend(path));
        let mut names = vec![text(&["name"]), text(&["rootID"])];
        names.extend(sources.iter().flatten().map(|source| source.get("url")?.text()));
        let names = Names(names);
        let floating = sources.into_iter().flatten().filter(|source| !is_pinned(source));
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
        survey.leave(within, form.outline.at, NOT_PINTLES);
    }
}

/// What a Secret has as text is read, as a ConfigMap's is. The rest is base64.
fn secret(node: &Node<'_>, within: &Within<'_>, survey: &mut Survey) -> Result<(), Unreadable> {
    for Member { key, at, .. } in node.get("data").map(Node::members).unwrap_or_default() {
        if within.is_pintles() || mentions_pintle(key) {
            survey.leave(&key_in(within, key), *at, "left alone, as it is base64");
        }
    }
    values(node, "stringData", within, survey)
}

fn key_in<'w>(within: &'w Within<'w>, key: &str) -> Within<'w> {
    let title = format!("key `{}`", shown(key));
    Within::Part(within, Part { title, is_pintles: mentions_pintle(key) })
}

/// Values that are YAML or JSON in turn.
fn values(
    node: &Node<'_>,
    field: &str,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    // Each resource has its own name and that of a key of it.
    if within.names().div_ceil(2) > MOST_NESTED {
        let reason = format!("more than {MOST_NESTED} ConfigMaps inside of one another");
        return Err(Unreadable::new(node.at, reason));
    }
    for Member { key, value, .. } in node.get(field).map(Node::members).unwrap_or_default() {
        let Some(scalar) = value.scalar() else { continue };
        let text = scalar.as_text();
        let within = &key_in(within, key);
        let Err(error) = super::read(&text, Syntax::Any, within, survey) else { continue };
        // A script or a template may have the same words in it.
        let extension = key.rsplit_once('.').map(|(_, extension)| extension);
        let is_structure = extension.is_some_and(|name| ["json", "yaml", "yml"].contains(&name));
        let is_marked = form::has_marker(text.content()) || mentions_pintle(key);
        if is_marked && (is_structure || extension.is_none()) {
            let form = Form::unreadable(error);
            survey.found.push(Found::new(within, form, Carrier::default()));
        } else if is_marked || is_structure {
            let reason = format!("left alone, as it cannot be read: {}", error.reason);
            survey.leave(within, error.at(), reason);
        }
    }
    Ok(())
}
