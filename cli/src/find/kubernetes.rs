//! Resources of Kubernetes that have a configuration in them.

use super::carrier::{Artefact, Carrier, Names, Remark, UNPINNED, is_pinned};
use super::envoy::{self, Fetcher};
use super::form::{self, Form, is_pintles};
use super::{Found, NOT_PINTLES, Survey, Unreadable, Within, shown, unique};
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
    let within = &Within::Resource(within, title(kind, node));
    let Some(spec) = node.get("spec") else {
        return match kind {
            "ConfigMap" => config_map(node, within, survey),
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
fn title(kind: &str, node: &Node<'_>) -> String {
    let text = |key| node.descend(&["metadata", key]).and_then(Node::text).map(shown);
    let name = text("name").or_else(|| text("generateName")).unwrap_or_default();
    match text("namespace") {
        Some(namespace) => format!("{} {namespace}/{name}", shown(kind)),
        None => format!("{} {name}", shown(kind)).trim_end().to_owned(),
    }
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

/// An `EnvoyFilter`; what is to be said of its patches is said of the first filter in it.
fn envoy_filter(spec: &Node<'_>, within: &Within<'_>, survey: &mut Survey) {
    let before = survey.found.len();
    envoy::read(spec, Fetcher::IstioAgent, within, survey);
    let Some(found) = survey.found.get_mut(before) else { return };
    let is_for_gateway = is_for_gateway(spec);
    for patch in spec.get("configPatches").map(Node::elements).unwrap_or_default() {
        let context = patch.descend(&["match", "context"]);
        let of_sidecar = context.filter(|context| {
            is_for_gateway && context.text().is_some_and(|text| text.starts_with("SIDECAR_"))
        });
        let version = patch.descend(&["match", "proxy", "proxyVersion"]);
        let remarks = [
            (
                of_sidecar,
                "this patch is for sidecars, and `targetRefs` is for a gateway: it changes nothing",
            ),
            (
                version,
                "on a proxy of another version there is no filter, and requests pass unchecked",
            ),
        ];
        found.carrier.remarks.extend(
            remarks.into_iter().filter_map(|(node, message)| {
                Some(Remark { at: node?.at, is_error: false, message })
            }),
        );
    }
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

/// Values that are YAML or JSON in turn.
fn config_map(node: &Node<'_>, within: &Within<'_>, survey: &mut Survey) -> Result<(), Unreadable> {
    // Each has its own name and that of a key of it.
    if within.names().div_ceil(2) > MOST_NESTED {
        let reason = format!("more than {MOST_NESTED} ConfigMaps inside of one another");
        return Err(Unreadable::new(node.at, reason));
    }
    for Member { key, value, .. } in node.get("data").map(Node::members).unwrap_or_default() {
        let Some(scalar) = value.scalar() else { continue };
        let text = scalar.as_text();
        let within = &Within::Resource(within, format!("key `{}`", shown(key)));
        let Err(error) = super::read(&text, Syntax::Any, within, survey) else { continue };
        // A script or a template may have the same words in it.
        let extension = key.rsplit_once('.').map(|(_, extension)| extension);
        let is_named = extension.is_some_and(|name| ["json", "yaml", "yml"].contains(&name));
        let is_marked = form::has_marker(text.content());
        if is_marked && (is_named || extension.is_none()) {
            let form = Form::unreadable(error);
            survey.found.push(Found::new(within, form, Carrier::default()));
        } else if is_marked || is_named {
            survey.leave(
                within,
                error.at(),
                format!("left alone, as it cannot be read: {}", error.reason),
            );
        }
    }
    Ok(())
}
