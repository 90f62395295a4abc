//! YAML (1.2.2) into the tree, with what it resolves to for the readers of Kubernetes and of Envoy.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::scalar::{self, Style};
use super::{MAX_DEPTH, Member, Node, Scalar, Value};
use crate::find::Unreadable;
use crate::place::{Position, Text};

/// What the nodes that anchors and aliases copy may weigh together, in bytes. A file that anybody has
/// written by hand copies some kilobytes; a few lines of aliases of aliases would copy terabytes.
const MOST_COPIED_BYTES: usize = 8 << 20;

/// What a node weighs beside its text, in bytes.
const NODE_BYTES: usize = 64;

/// What anchors and aliases have copied, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied(usize);

/// Reads all documents; those that are empty are left out.
pub(super) fn read<'t>(text: &'t Text, copied: &mut Copied) -> Result<Vec<Node<'t>>, Unreadable> {
    let mut builder =
        Builder { text, documents: Vec::new(), open: Vec::new(), anchors: HashMap::new(), copied };
    for event in Parser::new_from_str(text.content()) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let at = text.position(text.offset(marker.line(), marker.col() + 1));
            // The one message that quotes what it has met.
            let odd = "unexpected character";
            let info = if error.info().starts_with(odd) { odd } else { error.info() };
            Unreadable::new(at, format!("not YAML: {info}"))
        })?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

struct Builder<'t, 'c> {
    text: &'t Text,
    documents: Vec<Node<'t>>,
    /// Lists and objects that have not ended yet, the innermost last.
    open: Vec<Open<'t>>,
    anchors: HashMap<usize, Node<'t>>,
    copied: &'c mut Copied,
}

struct Open<'t> {
    at: Position,
    anchor: usize,
    content: Content<'t>,
}

enum Content<'t> {
    List(Vec<Node<'t>>),
    /// And the key whose value comes next.
    Object(Vec<Member<'t>>, Option<(String, Position)>),
}

impl<'t> Builder<'t, '_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let start = self.text.offset(span.start.line(), span.start.col() + 1);
        let at = self.text.position(start);
        match event {
            Event::SequenceStart(anchor, ..) => self.begin(at, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, ..) => {
                self.begin(at, anchor, Content::Object(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                None => Ok(()),
                Some(Open { at, anchor, content }) => {
                    let value = match content {
                        Content::List(elements) => Value::List(elements),
                        Content::Object(members, _) => Value::Object(members),
                    };
                    self.complete(Node { at, value }, anchor)
                }
            },
            Event::Scalar(content, style, anchor, tag) => {
                let value = match self.open.last() {
                    // A key is text, whatever it would be as a value.
                    Some(Open { content: Content::Object(_, None), .. }) => {
                        self.text(&content, Style::Plain, start)
                    }
                    _ => self.value(&content, style, tag.as_deref(), start)?,
                };
                self.complete(Node { at, value }, anchor)
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                    Unreadable::new(at, "an alias of what it stands in itself".to_owned())
                })?;
                self.copy(&node, at)?;
                self.complete(node, 0)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        at: Position,
        anchor: usize,
        content: Content<'t>,
    ) -> Result<(), Unreadable> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Unreadable::new(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        if let Some(Open { content: Content::Object(_, None), .. }) = self.open.last() {
            return Err(Unreadable::new(at, "a key that is no text".to_owned()));
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    /// Puts a node where it belongs.
    fn complete(&mut self, node: Node<'t>, anchor: usize) -> Result<(), Unreadable> {
        if anchor != 0 {
            self.copy(&node, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.documents.push(node),
            Some(Open { content: Content::List(elements), .. }) => elements.push(node),
            Some(Open { content: Content::Object(members, key), .. }) => match key.take() {
                Some((key, at)) => members.push(Member { key, at, value: node }),
                None => {
                    let at = node.at;
                    let text = scalar::key(node)
                        .ok_or_else(|| Unreadable::new(at, "a key that is no text".to_owned()))?;
                    *key = Some((text, at));
                }
            },
        }
        Ok(())
    }

    /// Counts a copy.
    fn copy(&mut self, node: &Node<'_>, at: Position) -> Result<(), Unreadable> {
        self.copied.0 = self.copied.0.saturating_add(weight(node));
        if self.copied.0 > MOST_COPIED_BYTES {
            return Err(Unreadable::new(
                at,
                "more copies by anchors and aliases than are taken".to_owned(),
            ));
        }
        Ok(())
    }

    fn value(
        &self,
        content: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        start: usize,
    ) -> Result<Value<'t>, Unreadable> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        // `!!str`, and `!`, which makes text of all as well (YAML 1.2.2 section 6.9.1).
        let is_text = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix.is_empty());
        let plain = style == Style::Plain && !is_text;
        if plain && scalar::is_no_number(content) {
            let reason = "an infinite number, or none: JSON has neither".to_owned();
            return Err(Unreadable::new(self.text.position(start), reason));
        }
        let resolved = plain.then(|| scalar::resolve(content)).flatten();
        Ok(resolved.unwrap_or_else(|| self.text(content, style, start)))
    }

    fn text(&self, content: &str, style: Style, start: usize) -> Value<'t> {
        Value::String(Scalar { text: content.to_owned(), outer: self.text, start, style })
    }
}

fn weight(node: &Node<'_>) -> usize {
    let inner = match &node.value {
        Value::String(scalar) => scalar.text.len(),
        Value::List(elements) => elements.iter().map(weight).sum(),
        Value::Object(members) => {
            members.iter().map(|member| member.key.len() + weight(&member.value)).sum()
        }
        _ => 0,
    };
    NODE_BYTES + inner
}
