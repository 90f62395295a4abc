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

use crate::output::printable;
use crate::place::{Position, Text};
use crate::tree::{self, Node};
use form::Form;
use outline::Outline;

/// A configuration that was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// What it was found in, for people: `WasmPlugin shop/pintle`, `Envoy configuration`, `configuration`.
    pub within: String,
    /// The document as the filter gets it: JSON.
    pub document: String,
    /// What runs it, as far as that is told.
    pub carrier: Carrier,
    /// Where it begins.
    pub at: Position,
    outline: Outline,
    /// Where it is no JSON.
    broken_at: Option<Position>,
}

/// A file that is neither YAML nor JSON.
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
    /// What runs code that is not Pintle's, as far as that can be told, as `within` has it.
    pub others: Vec<String>,
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
    /// Where an error of the filter's loader points to: the name of the field, the element of a list,
    /// or as near to it as can be told.
    pub fn locate(&self, error: &pintle_core::config::ConfigError) -> Position {
        match error.refusal() {
            pintle_core::config::Refusal::Syntax { .. } => self.broken_at.unwrap_or(self.at),
            _ => self.outline.locate(error.pointer()),
        }
    }

    fn new(within: &Within<'_>, form: Form, carrier: Carrier) -> Self {
        let Form { document, outline, broken_at } = form;
        Self { within: within.to_string(), document, carrier, at: outline.at, outline, broken_at }
    }
}

/// Shows no document: there may be secrets in it.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({} at {}, {} bytes)", self.within, self.at, self.document.len())
    }
}

impl Unreadable {
    pub(crate) fn at(at: Position, reason: String) -> Self {
        Self { line: at.line, column: at.column, reason }
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
    /// A resource of Kubernetes, by kind and name.
    Resource(&'w Within<'w>, String),
}

impl Within<'_> {
    /// How many names it has.
    fn names(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Resource(outer, _) => outer.names() + 1,
        }
    }
}

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("configuration"),
            Self::Resource(Self::Nothing, name) => f.write_str(name),
            Self::Resource(outer, name) => write!(f, "{outer}, {name}"),
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
    tree::read(text, syntax)?.into_iter().try_for_each(|node| document(node, within, survey))
}

fn document(node: Node<'_>, within: &Within<'_>, survey: &mut Survey) -> Result<(), Unreadable> {
    if kubernetes::is_resource(&node) {
        return kubernetes::read(node, within, survey);
    }
    if form::reads_like_pintle(&node) {
        let form = Form::of_value(&node);
        survey.found.push(Found::new(within, form, Carrier::default()));
        return Ok(());
    }
    unique(&node)?;
    let within = Within::Resource(within, "Envoy configuration".to_owned());
    envoy::read(&node, &within, survey)
}

/// Refuses keys that stand twice: one reader takes the first of them, another the last.
fn unique(node: &Node<'_>) -> Result<(), Unreadable> {
    node.duplicate().map_or(Ok(()), |member| {
        let reason = format!("the key `{}` stands twice in its object", shown(&member.key));
        Err(Unreadable::at(member.at, reason))
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
