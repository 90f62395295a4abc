//! The filters of a document, as far as tools ask for them.

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
    if let Some(plugin) = Plugin::of(root) {
        return vec![Filter { kind: plugin.kind().to_owned(), observes: observes(root) }];
    }
    let list = root.get("filters").map(Node::elements).unwrap_or_default();
    let kinds = list.iter().filter_map(|filter| match filter.members() {
        [member] => Some(Filter { kind: member.key.clone(), observes: observes(&member.value) }),
        _ => None,
    });
    kinds.collect()
}

/// A plug-in whose document is read as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plugin {
    BasicAuth,
    TokenExchange,
    CustomErrors,
}

impl Plugin {
    /// Whose document it is.
    pub(crate) fn of(root: &Node<'_>) -> Option<Self> {
        if root.get("basic_auth_rules").is_some() {
            return Some(Self::BasicAuth);
        }
        if ["auth_cluster_name", "auth_authority"].iter().any(|key| root.get(key).is_some()) {
            return Some(Self::TokenExchange);
        }
        root.get("targetURLPrefixes").map(|_| Self::CustomErrors)
    }

    /// The kind of filter that it becomes.
    fn kind(self) -> &'static str {
        match self {
            Self::BasicAuth => "basic_auth",
            Self::TokenExchange => "token_exchange",
            Self::CustomErrors => "problem_json",
        }
    }
}

fn observes(fields: &Node<'_>) -> bool {
    fields.get("mode").and_then(Node::text) == Some("observe")
}
