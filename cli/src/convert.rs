//! `pintle convert`: the document of another plug-in in Pintle's own form.

mod basic_auth;
mod custom_errors;
mod native;
mod token_exchange;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pintle_core::config::{ConfigErrors, HashKey, PluginDocument};
use pintle_core::{NoFurther, Policy};

use crate::chain;
use crate::find::{Found, Unreadable};
use crate::input::{self, InputError};
use crate::output::{Verdict, printable};
use crate::place::Text;
use crate::tree::{self, Node, Syntax};

/// What `pintle convert` is told.
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["file", "from"])))]
pub struct Options {
    /// The configuration of the other plug-in, by itself or in a manifest. `-` is standard input.
    file: Option<PathBuf>,
    /// For a plug-in that had no configuration: the one to add.
    #[arg(long, value_enum)]
    from: Option<Unconfigured>,
    /// The form of what is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Plug-ins without a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Unconfigured {
    /// The request header logger.
    HeaderLogger,
    /// The header authorization, which wants `allow: true`.
    AllowTrue,
}

/// The form of a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As a filter takes it.
    #[default]
    Json,
    /// As a manifest takes it.
    Yaml,
}

/// A document in Pintle's own form, and in what it differs from the one that it was.
pub struct Converted {
    /// JSON.
    pub document: String,
    /// What the two forms do not say alike, for people.
    pub differences: Vec<String>,
}

/// Why there is nothing in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConvertError {
    /// The filter refuses the document as it is; the words are those of its loader.
    Refused(ConfigErrors),
    /// Pintle's own form cannot say it.
    Unsayable(String),
}

/// Converts what is asked for; differences and errors go to `messages`.
pub fn run(
    options: &Options,
    output: &mut dyn Write,
    messages: &mut dyn Write,
) -> io::Result<Verdict> {
    if let Some(plugin) = options.from {
        print(plugin.document(), options.format, true, output)?;
        return Ok(Verdict::Good);
    }
    let path = options.file.as_deref().unwrap_or(Path::new("-"));
    let file = input::name(path);
    let found = match input::find(path) {
        Ok(survey) => survey.found,
        Err(InputError::Unreadable(Unreadable { line, column, reason })) => {
            writeln!(messages, "{file}:{line}:{column}: error: {reason}")?;
            return Ok(Verdict::Unusable);
        }
        Err(error) => {
            writeln!(messages, "{file}: error: {error}")?;
            return Ok(Verdict::Unusable);
        }
    };
    if found.is_empty() {
        let reason = "there is no configuration of Pintle, or of a plug-in that it replaces, in it";
        writeln!(messages, "{file}: error: {reason}")?;
        return Ok(Verdict::Unusable);
    }
    let mut verdict = Verdict::Good;
    let mut is_first = true;
    for found in &found {
        let Found { within, document, at, .. } = found;
        let place = format!("{file}:{at}");
        if let Err(refused) = found.load() {
            for refused in refused {
                writeln!(messages, "{file}:{}: error: {within}: {refused}", refused.at)?;
            }
            verdict = Verdict::Refused;
            continue;
        }
        match convert(document) {
            Ok(converted) => {
                for difference in &converted.differences {
                    writeln!(messages, "{place}: warning: {within}: {difference}")?;
                }
                print(&converted.document, options.format, is_first, output)?;
                is_first = false;
            }
            Err(error) => {
                let error = printable(&error.to_string());
                writeln!(messages, "{place}: error: {within}: {error}")?;
                verdict = Verdict::Refused;
            }
        }
    }
    Ok(verdict)
}

/// Converts one document; one in Pintle's own form stays as it is.
pub fn convert(document: &str) -> Result<Converted, ConvertError> {
    load(document).map_err(ConvertError::Refused)?;
    let text = Text::of_file(document);
    let nodes = tree::read(&text, Syntax::Json);
    let nodes = nodes.map_err(|error| ConvertError::Unsayable(error.reason))?;
    let Some(root) = nodes.first() else {
        return Err(ConvertError::Unsayable("there is nothing in it".to_owned()));
    };
    let mut differences = Vec::new();
    let native = match chain::plugin(root) {
        None => return Ok(Converted { document: document.to_owned(), differences }),
        Some(PluginDocument::BasicAuth) => basic_auth::convert(root, &mut differences),
        Some(PluginDocument::TokenExchange) => token_exchange::convert(root, &mut differences),
        Some(PluginDocument::CustomErrors) => custom_errors::convert(root, &mut differences),
    };
    let document = native.to_json();
    load(&document).map_err(|errors| ConvertError::Unsayable(errors.to_string()))?;
    Ok(Converted { document, differences })
}

fn load(document: &str) -> Result<(), ConfigErrors> {
    Policy::<NoFurther>::load(document.as_bytes(), HashKey::new([0; 16])).map(drop)
}

/// Several documents of YAML are told apart by `---`.
fn print(document: &str, format: Format, is_first: bool, output: &mut dyn Write) -> io::Result<()> {
    let text = Text::of_file(document);
    let nodes = tree::read(&text, Syntax::Json).unwrap_or_default();
    if format == Format::Yaml && !is_first {
        writeln!(output, "---")?;
    }
    for node in &nodes {
        match format {
            Format::Json => writeln!(output, "{}", node.to_pretty_json())?,
            Format::Yaml => write!(output, "{}", node.to_yaml())?,
        }
    }
    Ok(())
}

impl Unconfigured {
    /// What `docs/migrating.md` says to add.
    pub fn document(self) -> &'static str {
        match self {
            Self::HeaderLogger => r#"{"filters": [{"log_headers": {"request": ["*"]}}]}"#,
            Self::AllowTrue => {
                r#"{"filters": [{"require_header": {
                    "header": "allow",
                    "exact": "true",
                    "deny": {"status": 403, "body": "Forbidden by ASM Wasm Plugin"}
                }}]}"#
            }
        }
    }
}

impl std::fmt::Display for ConvertError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(errors) => errors.fmt(f),
            Self::Unsayable(why) => {
                write!(f, "Pintle's own form cannot say it, so leave the document as it is: {why}")
            }
        }
    }
}

impl std::error::Error for ConvertError {}

/// Shows no document: there may be secrets in it.
impl std::fmt::Debug for Converted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Converted({} bytes, {:?})", self.document.len(), self.differences)
    }
}

/// Texts of a list.
fn texts(list: Option<&Node<'_>>) -> Vec<String> {
    let elements = list.map(Node::elements).unwrap_or_default();
    elements.iter().filter_map(Node::text).map(str::to_owned).collect()
}

fn text(root: &Node<'_>, key: &str) -> Option<String> {
    root.get(key).and_then(Node::text).map(str::to_owned)
}

/// A whole number, which may have come as a float.
fn integer(root: &Node<'_>, key: &str) -> Option<i64> {
    match &root.get(key)?.value {
        tree::Value::Number(number) => {
            number.parse().ok().or_else(|| number.parse().ok().map(|float: f64| float as i64))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
