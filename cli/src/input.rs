//! Files that a command reads.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::find::{Survey, Syntax, Unreadable, survey};
use crate::output::printable;
use crate::place::Text;

/// The longest file that is read, in bytes. The configuration of a large Envoy is some megabytes.
const LONGEST_BYTES: u64 = 64 << 20;

/// Why there is nothing to work with.
#[derive(Debug)]
pub enum InputError {
    /// It cannot be read.
    Io(io::Error),
    /// It is longer than anything that is read.
    TooLong,
    /// It is neither YAML nor JSON.
    Unreadable(Unreadable),
}

impl std::fmt::Display for InputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read it: {error}"),
            Self::TooLong => write!(f, "longer than {LONGEST_BYTES} bytes"),
            Self::Unreadable(error) => f.write_str(&error.reason),
        }
    }
}

impl std::error::Error for InputError {}

/// Finds the configurations in a file; `-` is standard input. A file whose name ends in `.json` is
/// read as JSON alone.
pub fn find(path: &Path) -> Result<Survey, InputError> {
    let text = read(path)?;
    let syntax = match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("json") => Syntax::Json,
        _ => Syntax::Any,
    };
    survey(&text, syntax).map_err(InputError::Unreadable)
}

/// The name of a file in what is said of it.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "<stdin>".to_owned() } else { printable(&path.to_string_lossy()) }
}

fn read(path: &Path) -> Result<String, InputError> {
    let source: Box<dyn Read> = match is_stdin(path) {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(path).map_err(InputError::Io)?),
    };
    let mut bytes = Vec::new();
    source.take(LONGEST_BYTES + 1).read_to_end(&mut bytes).map_err(InputError::Io)?;
    if bytes.len() as u64 > LONGEST_BYTES {
        return Err(InputError::TooLong);
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let text = Text::of_file(&String::from_utf8_lossy(before));
        let at = text.position(text.content().len());
        InputError::Unreadable(Unreadable::new(at, "not UTF-8 from here on".to_owned()))
    })
}

/// Whether standard input is meant.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
