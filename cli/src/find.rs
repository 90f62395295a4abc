//! Finds Pintle's configurations in a file: the file itself, or what is embedded in a Kubernetes manifest or in a
//! configuration of Envoy.

mod carrier;
mod envoy;
mod form;
mod kubernetes;
mod outline;

use std::fmt;

pub use crate::tree::Syntax;
pub use carrier::{Artefact, Carrier, Remark};

use pintle_core::Policy;
use pintle_core::config::{ConfigError, HashKey, Refusal};

use crate::output::printable;
use crate::place::{Position, Text};
use crate::tree::{self, Copied, Node};
use form::Form;
use outline::Outline;

/// A configuration that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// What it was found in, for people: `WasmPlugin shop/pintle`, `Envoy configuration`, `configuration`.
    pub within: String,
    /// The document as the filter gets it: JSON. Empty where there is none, or it is `unread`.
    pub document: String,
    /// Why what stands there never comes to a filter.
    pub unread: Option<Unreadable>,
    /// What runs it, as far as that is told.
    pub carrier: Carrier,
    /// Where it begins.
    pub at: Position,
    outline: Outline,
    /// Where it is no JSON.
    broken_at: Option<Position>,
}

/// Text that cannot be read: a file that is neither YAML nor JSON, a configuration in no form that a proxy
/// takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Configurations of Pintle.
    pub found: Vec<Found>,
    /// What was left alone, since it is not Pintle's as far as that can be told.
    pub others: Vec<Other>,
    /// What anchors and aliases have copied so far.
    copied: Copied,
}

/// What was left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// What it is or stands in, as [`Found::within`] has it.
    pub within: String,
    /// Where it begins.
    pub at: Position,
    /// Why.
    pub reason: String,
}

/// All configurations in a file of YAML, of one document or several, or of JSON.
///
/// ```
/// let manifest = "
/// apiVersion: extensions.istio.io/v1alpha1
/// kind: WasmPlugin
/// metadata: {name: pintle, namespace: shop}
/// spec:
///   url: oci://registry.example.com/pintle:1
///   pluginConfig: {filters: [{log_headers: {request: ['*']}}]}
/// ";
/// let found = pintle_cli::find::configurations(manifest)?;
/// assert_eq!(found[0].within, "WasmPlugin shop/pintle");
/// assert_eq!(found[0].document, r#"{"filters":[{"log_headers":{"request":["*"]}}]}"#);
/// # Ok::<(), pintle_cli::find::Unreadable>(())
/// ```
pub fn configurations(text: &str) -> Result<Vec<Found>, Unreadable> {
    survey(text, Syntax::Any).map(|survey| survey.found)
}

/// Like [`configurations`], with what else there is.
pub fn survey(text: &str, syntax: Syntax) -> Result<Survey, Unreadable> {
    let mut survey = Survey::default();
    read(&Text::of_file(text), syntax, &Within::Nothing, &mut survey)?;
    Ok(survey)
}

impl Found {
    /// The policy that the filter makes of it.
    pub fn load(&self) -> Result<Policy, Vec<Refused>> {
        if let Some(unread) = &self.unread {
            let message = unread.reason.clone();
            return Err(vec![Refused { at: unread.at(), pointer: None, message }]);
        }
        // Nobody but the operator chooses what is hashed here, and nothing outlives the command.
        Policy::load(self.document.as_bytes(), HashKey::new([0; 16])).map_err(|errors| {
            let refused = |error: &ConfigError| Refused {
                at: self.locate(error),
                pointer: Some(printable(error.pointer())),
                message: printable(&error.refusal().to_string()),
            };
            let mut refused: Vec<Refused> = errors.iter().map(refused).collect();
            refused.sort_by_key(|refused| refused.at);
            refused
        })
    }

    /// Where an error of the filter's loader points to: the name of the field, the element of a list,
    /// or as near to it as can be told.
    pub fn locate(&self, error: &ConfigError) -> Position {
        match error.refusal() {
            Refusal::Syntax { .. } => self.broken_at.unwrap_or(self.at),
            _ => self.outline.locate(error.pointer()),
        }
    }

    fn new(within: &Within<'_>, form: Form, carrier: Carrier) -> Self {
        let Form { document, unread, outline, broken_at } = form;
        let at = outline.at;
        Self { within: within.to_string(), document, unread, carrier, at, outline, broken_at }
    }
}

/// Shows no document: there may be secrets in it.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({} at {}, {} bytes)", self.within, self.at, self.document.len())
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where in the file.
    pub at: Position,
    /// Where in the configuration (RFC 6901), printable; `None` for what never comes to a filter.
    pub pointer: Option<String>,
    /// What is wrong, printable; quotes no value.
    pub message: String,
}

/// For people, without the place in the file.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_deref() {
            None => {}
            Some("") => f.write_str("the document: ")?,
            Some(pointer) => write!(f, "{pointer}: ")?,
        }
        f.write_str(&self.message)
    }
}

impl Survey {
    /// Notes that something is left alone.
    fn leave(&mut self, within: &Within<'_>, at: Position, reason: impl Into<String>) {
        self.others.push(Other { within: within.to_string(), at, reason: reason.into() });
    }
}

/// Why a filter is left alone.
const NOT_PINTLES: &str =
    "left alone as another filter: neither its names nor its members are Pintle's";

impl Unreadable {
    pub(crate) fn new(at: Position, reason: String) -> Self {
        Self { line: at.line, column: at.column, reason }
    }

    /// The place.
    pub fn at(&self) -> Position {
        Position { line: self.line, column: self.column }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.reason)
    }
}

impl std::error::Error for Unreadable {}

/// What a document stands in.
pub(crate) enum Within<'w> {
    Nothing,
    /// A resource of Kubernetes or one of its keys.
    Part(&'w Within<'w>, Part),
}

/// Something with documents in it.
pub(crate) struct Part {
    /// For people.
    title: String,
    /// Whether its own name says that it is Pintle's.
    is_pintles: bool,
}

impl Within<'_> {
    /// How many names it has.
    fn names(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Part(outer, _) => outer.names() + 1,
        }
    }

    /// Whether a name in it says that it is Pintle's.
    fn is_pintles(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Part(outer, part) => part.is_pintles || outer.is_pintles(),
        }
    }
}

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("configuration"),
            Self::Part(Self::Nothing, part) => f.write_str(&part.title),
            Self::Part(outer, part) => write!(f, "{outer}, {}", part.title),
        }
    }
}

/// Looks through a text: that of the file, or of what stands in it.
fn read(
    text: &Text,
    syntax: Syntax,
    within: &Within<'_>,
    survey: &mut Survey,
) -> Result<(), Unreadable> {
    let nodes = tree::read_counted(text, syntax, &mut survey.copied)?;
    nodes.into_iter().try_for_each(|node| document(node, within, survey))
}

fn document(node: Node<'_>, within: &Within<'_>, survey: &mut Survey) -> Result<(), Unreadable> {
    if kubernetes::is_resource(&node) {
        return kubernetes::read(node, within, survey);
    }
    let is_own = match within {
        Within::Nothing => form::is_meant_for_pintle(&node),
        // `{}` may be anything there.
        _ if node.is_empty() => false,
        _ if within.is_pintles() => form::is_meant_for_pintle(&node),
        _ => form::is_pintles(&node),
    };
    if is_own {
        let form = Form::of_value(&node);
        survey.found.push(Found::new(within, form, Carrier::default()));
        return Ok(());
    }
    if form::is_meant_for_pintle(&node) && !node.is_empty() {
        survey.leave(within, node.at, NOT_PINTLES);
    }
    unique(&node)?;
    let part = Part { title: "Envoy configuration".to_owned(), is_pintles: false };
    envoy::read(&node, envoy::Fetcher::Envoy, &Within::Part(within, part), survey);
    Ok(())
}

/// Refuses keys that stand twice: one reader takes the first of them, another the last.
fn unique(node: &Node<'_>) -> Result<(), Unreadable> {
    node.duplicate().map_or(Ok(()), |member| {
        let reason = format!("the key `{}` stands twice in its object", shown(&member.key));
        Err(Unreadable::new(member.at, reason))
    })
}

/// A name from the file, printable and not longer than anybody reads.
fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", printable(&name[..end])),
        None => printable(name),
    }
}

#[cfg(test)]
mod tests;
