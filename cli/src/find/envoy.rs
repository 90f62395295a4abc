//! Configurations of Envoy: a bootstrap, a listener, a filter by itself, an answer of a control plane, or
//! pieces of these, such as an `EnvoyFilter` has.

use super::carrier::{Artefact, Carrier, Names};
use super::form::{self, Form};
use super::{Found, Survey, Unreadable, Within};
use crate::tree::{self, Node, Syntax};

const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
const PLUGIN: &str = "envoy.extensions.wasm.v3.PluginConfig";
const MODULE: &str = "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
const MODULE_PER_ROUTE: &str =
    "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute";

/// Finds every filter in it that runs code, at any depth.
pub(super) fn read(
    node: &Node<'_>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    search(node, None, within, survey)
}

/// `name`: that of the object which has this one for its `typed_config`.
fn search(
    node: &Node<'_>,
    name: Option<&str>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    if let Some((kind, message)) = typed(node) {
        match kind {
            WASM => return plugin(message.field("config"), message, name, within, survey),
            PLUGIN => return plugin(Some(message), message, name, within, survey),
            MODULE | MODULE_PER_ROUTE => return module(message, name, within, survey),
            _ => {}
        }
    }
    let own = node.get("name").and_then(Node::text);
    let values = node.members().iter().map(|member| &member.value);
    values.chain(node.elements()).try_for_each(|inner| search(inner, own, within, survey))
}

/// The type of a message in an `Any`, and the message; a TypedStruct is what it stands for.
fn typed<'n, 't>(node: &'n Node<'t>) -> Option<(&'n str, &'n Node<'t>)> {
    let name = |kind: &'n str| kind.rsplit('/').next().unwrap_or_default();
    let kind = name(node.get("@type")?.text()?);
    match kind {
        "xds.type.v3.TypedStruct" | "udpa.type.v1.TypedStruct" => {
            Some((name(node.field("type_url")?.text()?), node.get("value")?))
        }
        _ => Some((kind, node)),
    }
}

/// A wasm plug-in, whose configuration is a `PluginConfig`.
fn plugin(
    config: Option<&Node<'_>>,
    message: &Node<'_>,
    name: Option<&str>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let config = config.unwrap_or(message);
    let text = |path: &[&str]| config.fields(path).and_then(Node::text);
    let names = Names(vec![
        name,
        text(&["name"]),
        text(&["root_id"]),
        text(&["vm_config", "vm_id"]),
        text(&["vm_config", "code", "local", "filename"]),
        text(&["vm_config", "code", "remote", "http_uri", "uri"]),
    ]);
    let policy = config.field("failure_policy");
    let legacy = config.field("fail_open").filter(|open| open.is_true());
    let open = policy.filter(|policy| policy.text() == Some("FAIL_OPEN")).or(legacy);
    let both = policy.and(config.field("fail_open")).map(|node| node.at);
    let carrier = Carrier::of(names.wasm())
        .fails_open(open)
        .refuse(both, "`fail_open` beside `failure_policy`: Envoy refuses the two together");
    let configuration = config.field("configuration");
    add(configuration, message, false, names.are_pintles(), carrier, within, survey)
}

/// A filter of a dynamic module.
fn module(
    message: &Node<'_>,
    name: Option<&str>,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let config = message.field("dynamic_module_config");
    let text = |path: &[&str]| config.and_then(|node| node.fields(path)).and_then(Node::text);
    let names = Names(vec![
        name,
        message.field("filter_name").and_then(Node::text),
        message.field("per_route_config_name").and_then(Node::text),
        text(&["name"]),
        text(&["module", "local", "filename"]),
        text(&["module", "remote", "http_uri", "uri"]),
    ]);
    let closes = config.filter(|config| !config.field("do_not_close").is_some_and(Node::is_true));
    let carrier = Carrier::of(Artefact::Module).warn(
        closes.map(|node| node.at),
        "without `do_not_close: true` Envoy unloads the module with its last configuration, while \
         what it has started may still run",
    );
    let configuration = message.field("filter_config");
    add(configuration, message, true, names.are_pintles(), carrier, within, survey)
}

/// `structures`: as [`Form::of_any`] has it.
fn add(
    configuration: Option<&Node<'_>>,
    message: &Node<'_>,
    structures: bool,
    named: bool,
    carrier: Carrier,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let form = match configuration {
        None => Ok(Form::nothing(message.at)),
        Some(any) => Form::of_any(any, structures),
    };
    match form {
        Ok(form) if named || is_pintles(&form.document) => {
            survey.found.push(Found::new(within, form, carrier));
        }
        Err(error) if named => return Err(error),
        _ => survey.others.push(within.to_string()),
    }
    Ok(())
}

/// Whether a document that came with code of no name is one of Pintle's.
fn is_pintles(document: &str) -> bool {
    let text = crate::place::Text::of_file(document);
    let nodes = tree::read(&text, Syntax::Json).unwrap_or_default();
    nodes.iter().any(form::is_pintles)
}
