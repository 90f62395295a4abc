//! YAML and JSON as one tree, each node with its place in the file.

mod json;
mod scalar;
mod write;
mod yaml;

use std::collections::HashSet;
use std::fmt;

pub(crate) use scalar::Style;
pub(crate) use yaml::Copied;

use crate::find::Unreadable;
use crate::place::{Position, Text};

/// How many lists and objects may stand inside of one another; what reads configurations, of Envoy as
/// of the filter, takes no more than about this.
const MAX_DEPTH: usize = 128;

/// A value.
#[derive(Clone)]
pub(crate) struct Node<'t> {
    /// Where it begins.
    pub(crate) at: Position,
    pub(crate) value: Value<'t>,
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum Value<'t> {
    Null,
    Bool(bool),
    /// As JSON writes it.
    Number(String),
    String(Scalar<'t>),
    List(Vec<Node<'t>>),
    /// In the order of the file; keys may repeat in JSON.
    Object(Vec<Member<'t>>),
}

/// A member of an object.
#[derive(Clone)]
pub(crate) struct Member<'t> {
    pub(crate) key: String,
    /// Where the key begins.
    pub(crate) at: Position,
    pub(crate) value: Node<'t>,
}

/// Text that stands inside of another text.
#[derive(Clone)]
pub(crate) struct Scalar<'t> {
    pub(crate) text: String,
    outer: &'t Text,
    /// Where it begins in the outer text, in bytes.
    start: usize,
    style: Style,
}

/// What a text is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syntax {
    /// YAML, or JSON.
    #[default]
    Any,
    /// JSON (RFC 8259) alone.
    Json,
}

/// Reads the documents of a text.
pub(crate) fn read(text: &Text, syntax: Syntax) -> Result<Vec<Node<'_>>, Unreadable> {
    read_counted(text, syntax, &mut Copied::default())
}

/// Like [`read`], for one of several texts that may copy so much together.
pub(crate) fn read_counted<'t>(
    text: &'t Text,
    syntax: Syntax,
    copied: &mut Copied,
) -> Result<Vec<Node<'t>>, Unreadable> {
    let start = text.content().trim_start();
    if syntax == Syntax::Any && !start.starts_with(['{', '[']) {
        return yaml::read(text, copied);
    }
    json::read(text).map(|node| vec![node]).or_else(|error| match syntax {
        // A flow collection of YAML, with comments perhaps, or without quotes.
        Syntax::Any if !error.is_final => yaml::read(text, copied).map_err(|other| {
            let key = start.strip_prefix('{').map(str::trim_start);
            let is_meant_as_json = key.is_none_or(|key| key.starts_with('"'));
            if is_meant_as_json { error.unreadable } else { other }
        }),
        _ => Err(error.unreadable),
    })
}

impl<'t> Node<'t> {
    /// The member of this name; of several the last one.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'t>> {
        let mut members = self.members().iter().rev();
        members.find(|member| member.key == key).map(|member| &member.value)
    }

    /// The member at the end of these names.
    pub(crate) fn descend(&self, path: &[&str]) -> Option<&Node<'t>> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// A field of a protobuf message, which may stand under its own name or in lowerCamelCase
    /// (<https://protobuf.dev/programming-guides/json/>).
    pub(crate) fn field(&self, name: &str) -> Option<&Node<'t>> {
        self.get(name).or_else(|| self.get(&lower_camel_case(name)))
    }

    /// The field at the end of these names.
    pub(crate) fn fields(&self, path: &[&str]) -> Option<&Node<'t>> {
        path.iter().try_fold(self, |node, name| node.field(name))
    }

    /// Text, if it is that.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn scalar(&self) -> Option<&Scalar<'t>> {
        match &self.value {
            Value::String(scalar) => Some(scalar),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        matches!(self.value, Value::Bool(true))
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// Whether it is an object without members.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_object() && self.members().is_empty()
    }

    /// Members of an object; of anything else none.
    pub(crate) fn members(&self) -> &[Member<'t>] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// Elements of a list; of anything else none.
    pub(crate) fn elements(&self) -> &[Node<'t>] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// Puts what `<<` names in its place (<https://yaml.org/type/merge.html>), as the readers of
    /// Kubernetes do: what stands beside it wins.
    pub(crate) fn merge(&mut self) {
        match &mut self.value {
            Value::List(elements) => elements.iter_mut().for_each(Node::merge),
            Value::Object(members) => {
                members.iter_mut().for_each(|member| member.value.merge());
                let (merges, mut own): (Vec<_>, Vec<_>) =
                    std::mem::take(members).into_iter().partition(|member| member.key == "<<");
                let mut names: HashSet<String> =
                    own.iter().map(|member| member.key.clone()).collect();
                for source in merges {
                    let sources = match source.value.value {
                        Value::List(sources) => sources,
                        _ => vec![source.value],
                    };
                    for member in sources.into_iter().flat_map(|source| source.members().to_vec()) {
                        if names.insert(member.key.clone()) {
                            own.push(member);
                        }
                    }
                }
                *members = own;
            }
            _ => {}
        }
    }

    /// The first key in it that stands twice in its object.
    pub(crate) fn duplicate(&self) -> Option<&Member<'t>> {
        let members = self.members();
        let mut seen = HashSet::new();
        let own = members.iter().find(|member| !seen.insert(member.key.as_str()));
        let inner = || {
            let values = members.iter().map(|member| &member.value);
            values.chain(self.elements()).find_map(Self::duplicate)
        };
        own.or_else(inner)
    }
}

impl Scalar<'_> {
    /// The text with its own places, to be read in turn.
    pub(crate) fn as_text(&self) -> Text {
        let runs = scalar::runs(self.outer, self.start, self.style, &self.text);
        Text::inside(self.text.clone(), self.outer.position(self.start), runs)
    }
}

/// Shows no value: it may be a secret.
impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.at)
    }
}

fn lower_camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

#[cfg(test)]
mod tests;
