//! `pintle explain`: what each filter makes of a request, and why.
//!
//! The configuration runs on the in-memory host of `pintle-core`, so what is told is what happens, not
//! what somebody thinks that happens. docs/explain.md says how to read it.

mod build;
mod course;
mod grpc;
mod input;
mod places;
mod report;
mod show;
mod text;
mod words;

use std::io::{self, Write};
use std::iter;
use std::path::PathBuf;

use serde::Serialize;

pub use build::explanation;
pub use course::{Answers, Client, Course, Exchange, Response, Upstream};
pub use report::Explanation;

use crate::chain;
use crate::find::{Found, Refused, Unreadable};
use crate::input::{self as files, InputError};
use crate::output::{Format, Style};
use crate::place::Position;
use input::Input;
use show::escape;

/// What `pintle explain` is told.
#[derive(clap::Args)]
pub struct Options {
    /// The configuration, or a manifest or a configuration of Envoy with one inside; `-`: standard
    /// input.
    file: PathBuf,
    /// The request: `GET https://host/path`. Without a method it is a GET, without a host it takes
    /// that of `-H 'host: ..'`.
    #[arg(long, value_name = "REQUEST")]
    request: String,
    /// The method of the request.
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// A field of the request, `name: value`; `name;` is one with an empty value. Can be given several
    /// times.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The status that the upstream answers with.
    #[arg(long, value_name = "STATUS", default_value = "200")]
    response: String,
    /// A field of the upstream's answer, `name: value`. Can be given several times.
    #[arg(long = "response-header", value_name = "FIELD")]
    response_headers: Vec<String>,
    /// The content of the upstream's answer.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    response_body: Option<String>,
    /// What the auth service of `token_exchange` answers: `200:a-token`, `401`, or `reset` for a
    /// connection that breaks. Given several times: one answer after the other. Without one the
    /// explanation ends where the service is asked.
    #[arg(long = "callout", value_name = "STATUS[:BODY]")]
    callouts: Vec<String>,
    /// Which configuration of the file, from 1, where there are several.
    #[arg(long, value_name = "N")]
    nth: Option<usize>,
}

/// Explains it; `Ok(false)`: the configuration was refused.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] for options that make no sense and a file that holds no
/// configuration, the error itself for a file that cannot be read. No error quotes a value of a field.
pub fn run(options: &Options, style: Style, output: &mut dyn Write) -> io::Result<bool> {
    let input = Input::read(options)?;
    let file = escape(files::name(&options.file).as_bytes());
    let found = chosen(options, &file)?;
    let within = escape(found.within.as_bytes());
    match found.load() {
        Ok(policy) => {
            let mut answers = input.answers.into_iter();
            let course = Course::run(&policy, &input.exchange, &mut |_| answers.next());
            let told = explanation(&policy, &found.document, &within, &input.exchange, course);
            match style.format {
                Format::Text => text::write(&told, style.colours, output)?,
                Format::Json => json(&told, output)?,
            }
            Ok(true)
        }
        Err(refused) => {
            match style.format {
                Format::Text => {
                    let line = |refused: &Refused| {
                        let why = escape(refused.to_string().as_bytes());
                        format!("\n  {file}:{}: {why}", refused.at)
                    };
                    let lines: String = refused.iter().map(line).collect();
                    writeln!(output, "{within}: refused:{lines}")?;
                }
                Format::Json => json(&AllRefused::new(within, refused), output)?,
            }
            Ok(false)
        }
    }
}

/// What is written where a configuration is refused.
#[derive(Serialize)]
struct AllRefused {
    version: u8,
    within: String,
    refused: Vec<Refusal>,
}

#[derive(Serialize)]
struct Refusal {
    pointer: Option<String>,
    message: String,
    /// In the file, from 1, as is the column.
    line: usize,
    column: usize,
}

impl AllRefused {
    fn new(within: String, refused: Vec<Refused>) -> Self {
        let refusal = |Refused { at, pointer, message }| {
            let Position { line, column } = at;
            Refusal { pointer, message, line, column }
        };
        let refused = refused.into_iter().map(refusal).collect();
        Self { version: report::VERSION, within, refused }
    }
}

fn json(value: &impl Serialize, output: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    writeln!(output, "{text}")
}

/// The configuration that is meant.
fn chosen(options: &Options, file: &str) -> io::Result<Found> {
    let mut found = files::find(&options.file).map_err(|error| unusable(file, error))?.found;
    let nth = match (options.nth, found.len()) {
        (_, 0) => return Err(usage(format!("{file}: no configuration of Pintle in the file"))),
        (Some(nth), count) if (1..=count).contains(&nth) => nth,
        (Some(_), count) => return Err(usage(format!("--nth is from 1 to {count} here"))),
        (None, 1) => 1,
        (None, count) => {
            let list = found.iter().zip(1..).map(|(found, nth)| {
                let kinds = chain::filters(&found.document).into_iter().map(|filter| filter.kind);
                let kinds = escape(kinds.collect::<Vec<_>>().join(", ").as_bytes());
                let within = escape(found.within.as_bytes());
                format!("\n  --nth {nth}: {file}:{}: {within}: {kinds}", found.at)
            });
            let first = format!("{count} configurations in the file, choose one:");
            return Err(usage(iter::once(first).chain(list).collect::<String>()));
        }
    };
    Ok(found.swap_remove(nth - 1))
}

fn unusable(file: &str, error: InputError) -> io::Error {
    match error {
        InputError::Io(why) => {
            io::Error::new(why.kind(), format!("{file}: {}", InputError::Io(why)))
        }
        InputError::TooLong => usage(format!("{file}: {error}")),
        InputError::Unreadable(Unreadable { line, column, reason }) => {
            usage(format!("{file}:{line}:{column}: {}", escape(reason.as_bytes())))
        }
    }
}

fn usage(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.into())
}
