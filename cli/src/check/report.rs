//! What a check has found, as text and as JSON.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::AnsiColor;
use serde::Serialize;

use crate::find::Other;
use crate::output::{Verdict, printable};
use crate::place::Position;

/// What there is to say of a file.
#[derive(Debug)]
pub(super) struct Report {
    /// Its name, for people.
    pub(super) file: String,
    pub(super) configurations: Vec<Configuration>,
    /// Why there are no configurations.
    pub(super) trouble: Option<Diagnostic>,
    pub(super) others: Vec<Other>,
}

/// What there is to say of a configuration.
#[derive(Debug)]
pub(super) struct Configuration {
    pub(super) within: String,
    pub(super) at: Position,
    /// The kinds of its filters, in their order.
    pub(super) filters: Vec<String>,
    pub(super) needs_content: bool,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// One thing to say.
#[derive(Debug)]
pub(super) struct Diagnostic {
    pub(super) severity: Severity,
    pub(super) at: Option<Position>,
    /// Where in the configuration; `""` is all of it.
    pub(super) pointer: Option<String>,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Error,
    Warning,
}

impl Report {
    pub(super) fn of(file: String) -> Self {
        Self { file, configurations: Vec::new(), trouble: None, others: Vec::new() }
    }

    pub(super) fn verdict(&self) -> Verdict {
        if self.trouble.is_some() {
            return Verdict::Unusable;
        }
        let is_refused = self.configurations.iter().any(Configuration::is_refused);
        if is_refused { Verdict::Refused } else { Verdict::Good }
    }

    /// A line for each thing: `file:line:column: error: pointer: what`; what was left alone last.
    pub(super) fn write(&self, colours: bool, out: &mut dyn Write) -> io::Result<()> {
        if let Some(trouble) = &self.trouble {
            self.line(trouble, colours, out)?;
        }
        for configuration in &self.configurations {
            for diagnostic in &configuration.diagnostics {
                self.line(diagnostic, colours, out)?;
            }
            if !configuration.is_refused() {
                let Configuration { within, at, filters, needs_content, .. } = configuration;
                let ok = coloured("ok", AnsiColor::Green, colours);
                write!(out, "{}:{at}: {ok}: {within}", self.file)?;
                if !filters.is_empty() {
                    write!(out, ": {}", filters.join(", "))?;
                }
                if *needs_content {
                    write!(
                        out,
                        " (sees content: for pintle.wasm or libpintle.so, not for pintle-headers.wasm)"
                    )?;
                }
                writeln!(out)?;
            }
        }
        self.others.iter().try_for_each(|Other { within, at, reason }| {
            let note = coloured("note", AnsiColor::Cyan, colours);
            writeln!(out, "{}:{at}: {note}: {within}: {}", self.file, printable(reason))
        })
    }

    fn line(&self, diagnostic: &Diagnostic, colours: bool, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}:", self.file)?;
        if let Some(at) = diagnostic.at {
            write!(out, "{at}:")?;
        }
        match diagnostic.severity {
            Severity::Error => write!(out, " {}: ", coloured("error", AnsiColor::Red, colours))?,
            Severity::Warning => {
                write!(out, " {}: ", coloured("warning", AnsiColor::Yellow, colours))?;
            }
        }
        match diagnostic.pointer.as_deref() {
            None => {}
            Some("") => write!(out, "the document: ")?,
            Some(pointer) => write!(out, "{}: ", printable(pointer))?,
        }
        writeln!(out, "{}", printable(&diagnostic.message))
    }
}

impl Configuration {
    fn is_refused(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

fn coloured(word: &str, colour: AnsiColor, colours: bool) -> impl Display {
    let style = if colours { colour.on_default().bold() } else { anstyle::Style::new() };
    format!("{style}{word}{style:#}")
}

/// All files as one JSON document.
pub(super) fn write_json(
    files: &[Report],
    verdict: Verdict,
    out: &mut dyn Write,
) -> io::Result<()> {
    let files = files.iter().map(|report| FileJson {
        file: report.file.clone(),
        error: report.trouble.as_ref().map(DiagnosticJson::of),
        configurations: report.configurations.iter().map(ConfigurationJson::of).collect(),
        others: report.others.iter().map(OtherJson::of).collect(),
    });
    let all = AllJson { ok: verdict == Verdict::Good, files: files.collect() };
    serde_json::to_writer_pretty(&mut *out, &all)?;
    writeln!(out)
}

#[derive(Serialize)]
struct AllJson<'r> {
    ok: bool,
    files: Vec<FileJson<'r>>,
}

#[derive(Serialize)]
struct FileJson<'r> {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<DiagnosticJson<'r>>,
    configurations: Vec<ConfigurationJson<'r>>,
    others: Vec<OtherJson<'r>>,
}

#[derive(Serialize)]
struct OtherJson<'r> {
    within: &'r str,
    line: usize,
    column: usize,
    message: &'r str,
}

#[derive(Serialize)]
struct ConfigurationJson<'r> {
    within: &'r str,
    line: usize,
    column: usize,
    accepted: bool,
    filters: &'r [String],
    needs_content: bool,
    diagnostics: Vec<DiagnosticJson<'r>>,
}

#[derive(Serialize)]
struct DiagnosticJson<'r> {
    severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'r str>,
    message: &'r str,
}

impl<'r> ConfigurationJson<'r> {
    fn of(configuration: &'r Configuration) -> Self {
        Self {
            within: &configuration.within,
            line: configuration.at.line,
            column: configuration.at.column,
            accepted: !configuration.is_refused(),
            filters: &configuration.filters,
            needs_content: configuration.needs_content,
            diagnostics: configuration.diagnostics.iter().map(DiagnosticJson::of).collect(),
        }
    }
}

impl<'r> OtherJson<'r> {
    fn of(other: &'r Other) -> Self {
        let Position { line, column } = other.at;
        Self { within: &other.within, line, column, message: &other.reason }
    }
}

impl<'r> DiagnosticJson<'r> {
    fn of(diagnostic: &'r Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity,
            line: diagnostic.at.map(|at| at.line),
            column: diagnostic.at.map(|at| at.column),
            pointer: diagnostic.pointer.as_deref(),
            message: &diagnostic.message,
        }
    }
}
