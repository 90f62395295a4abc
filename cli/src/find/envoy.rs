//! Configurations of Envoy: a bootstrap, a listener, a filter by itself, an answer of a control plane, or
//! pieces of these, such as an `EnvoyFilter` has.

use super::carrier::{Artefact, Carrier, Names, UNPINNED, is_pinned};
use super::form::{self, Form, Host};
use super::{Found, NOT_PINTLES, Survey, Within};
use crate::place::Position;
use crate::tree::Node;

const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
const PLUGIN: &str = "envoy.extensions.wasm.v3.PluginConfig";
const MODULE: &str = "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
const MODULE_PER_ROUTE: &str =
    "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute";

/// Who fetches what is remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetcher {
    Envoy,
    /// For wasm; Envoy for all else.
    IstioAgent,
}

/// Finds every filter in it that runs code, at any depth.
pub(super) fn read(node: &Node<'_>, fetcher: Fetcher, within: &Within<'_>, survey: &mut Survey) {
    Search { fetcher, within, survey }.search(node, None);
}

struct Search<'s> {
    fetcher: Fetcher,
    within: &'s Within<'s>,
    survey: &'s mut Survey,
}

impl Search<'_> {
    /// `name`: that of the object which has this one for its `typed_config`.
    fn search(&mut self, node: &Node<'_>, name: Option<&str>) {
        if let Some((kind, message)) = typed(node) {
            match kind {
                WASM => {
                    return self.plugin(message.field("config").unwrap_or(message), message, name);
                }
                PLUGIN => return self.plugin(message, message, name),
                MODULE | MODULE_PER_ROUTE => return self.module(message, name),
                _ => {}
            }
        }
        let own = node.get("name").and_then(Node::text);
        let values = node.members().iter().map(|member| &member.value);
        values.chain(node.elements()).for_each(|inner| self.search(inner, own));
    }

    /// A wasm plug-in, whose configuration is a `PluginConfig`.
    fn plugin(&mut self, config: &Node<'_>, message: &Node<'_>, name: Option<&str>) {
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
        let both = policy.and(legacy).map(|node| node.at);
        let unpinned = unpinned(config.fields(&["vm_config", "code", "remote"]));
        let carrier = Carrier::of(names.wasm())
            .fails_open(open)
            .refuse(both, "`fail_open` beside `failure_policy`: Envoy refuses the two together");
        let carrier = match self.fetcher {
            Fetcher::Envoy => carrier.refuse(unpinned, UNPINNED_FOR_ENVOY),
            Fetcher::IstioAgent => carrier.warn(unpinned, UNPINNED),
        };
        let configuration = config.field("configuration");
        self.add(configuration, message, Host::Wasm, names.are_pintles(), carrier);
    }

    /// A filter of a dynamic module.
    fn module(&mut self, message: &Node<'_>, name: Option<&str>) {
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
        let closes =
            config.filter(|config| !config.field("do_not_close").is_some_and(Node::is_true));
        let remote = config.and_then(|config| config.fields(&["module", "remote"]));
        let carrier = Carrier::of(Artefact::Module)
            .warn(
                closes.map(|node| node.at),
                "without `do_not_close: true` Envoy unloads the module with its last configuration, while \
                 what it has started may still run",
            )
            .refuse(unpinned(remote), UNPINNED_FOR_ENVOY);
        let configuration = message.field("filter_config");
        self.add(configuration, message, Host::Module, names.are_pintles(), carrier);
    }

    fn add(
        &mut self,
        configuration: Option<&Node<'_>>,
        message: &Node<'_>,
        host: Host,
        named: bool,
        carrier: Carrier,
    ) {
        let form = match configuration {
            None => Form::nothing(message.at),
            Some(any) => Form::of_any(any, host),
        };
        if named || form.is_pintles() || configuration.is_some_and(form::is_meant) {
            self.survey.found.push(Found::new(self.within, form, carrier));
        } else {
            self.survey.leave(self.within, form.outline.at, NOT_PINTLES);
        }
    }
}

const UNPINNED_FOR_ENVOY: &str = "no `sha256`, without which Envoy takes no remote file";

fn unpinned(remote: Option<&Node<'_>>) -> Option<Position> {
    remote.filter(|remote| !is_pinned(remote)).map(|node| node.at)
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
