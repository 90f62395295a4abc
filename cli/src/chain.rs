//! The filters of a document, as far as tools ask for them.

use pintle_core::config::PluginDocument;

use crate::place::Text;
use crate::tree::{self, Node, Syntax};

/// A filter, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) kind: String,
    /// Whether it only counts what it would do.
    observes: bool,
}

impl Filter {
    /// Whether it refuses requests.
    pub(crate) fn authenticates(&self) -> bool {
        let kinds = ["basic_auth", "require_header", "token_exchange"];
        !self.observes && kinds.contains(&self.kind.as_str())
    }
}

/// The filters of a document in their order: of Pintle's own form, or the one that the document of
/// another plug-in becomes. Of what is no filter nothing is told.
pub(crate) fn filters(document: &str) -> Vec<Filter> {
    let text = Text::of_file(document);
    let nodes = tree::read(&text, Syntax::Json).unwrap_or_default();
    let Some(root) = nodes.first() else { return Vec::new() };
    if let Some(plugin) = plugin(root) {
        return vec![Filter { kind: plugin.kind().to_owned(), observes: observes(root) }];
    }
    let list = root.get("filters").map(Node::elements).unwrap_or_default();
    let kinds = list.iter().filter_map(|filter| match filter.members() {
        [member] => Some(Filter { kind: member.key.clone(), observes: observes(&member.value) }),
        _ => None,
    });
    kinds.collect()
}

/// The plug-in whose document it is; `None` for Pintle's own form.
pub(crate) fn plugin(root: &Node<'_>) -> Option<PluginDocument> {
    PluginDocument::of(|key| root.get(key).is_some())
}

fn observes(fields: &Node<'_>) -> bool {
    fields.get("mode").and_then(Node::text) == Some("observe")
}
