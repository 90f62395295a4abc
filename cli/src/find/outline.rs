//! Where the parts of a document stand, without what they are.

use crate::output::printable;
use crate::place::Position;
use crate::tree::{Node, Value};

/// The places of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) at: Position,
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    None,
    Elements(Vec<Outline>),
    /// Each with its name and the place of that.
    Members(Vec<(String, Position, Outline)>),
}

impl Outline {
    /// Of a value of which nothing else is known.
    pub(super) fn only(at: Position) -> Self {
        Self { at, parts: Parts::None }
    }

    pub(super) fn of(node: &Node<'_>) -> Self {
        let parts = match &node.value {
            Value::List(elements) => Parts::Elements(elements.iter().map(Self::of).collect()),
            Value::Object(members) => Parts::Members(
                members
                    .iter()
                    .map(|member| (member.key.clone(), member.at, Self::of(&member.value)))
                    .collect(),
            ),
            _ => Parts::None,
        };
        Self { at: node.at, parts }
    }

    /// The place of a JSON pointer (RFC 6901), as far as it leads: of a member that of its name, and
    /// of one that stands twice that of the second.
    pub(super) fn locate(&self, pointer: &str) -> Position {
        let (mut outline, mut at) = (self, self.at);
        for segment in pointer.split('/').skip(1) {
            let segment = printable(segment);
            let next = match &outline.parts {
                Parts::None => None,
                Parts::Elements(elements) => segment
                    .parse()
                    .ok()
                    .and_then(|place: usize| elements.get(place))
                    .map(|o| (o, o.at)),
                Parts::Members(members) => members
                    .iter()
                    .rev()
                    .find(|(name, ..)| segment_of(name) == segment)
                    .map(|(_, at, outline)| (outline, *at)),
            };
            match next {
                Some((inner, place)) => (outline, at) = (inner, place),
                None => break,
            }
        }
        at
    }
}

/// A name as the pointers of the filter's loader have it, cut and printable.
fn segment_of(name: &str) -> String {
    super::shown(name).replace('~', "~0").replace('/', "~1")
}
