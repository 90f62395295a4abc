//! `pintle check`: whether the filter takes a configuration, as the filter itself says it.

mod report;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use pintle_core::Policy;
use pintle_core::config::HashKey;

use crate::chain;
use crate::find::{Artefact, Found, Unreadable};
use crate::input::{self, InputError};
use crate::output::{Format, Style, Verdict};
use crate::place::Position;
use report::{Configuration, Diagnostic, Report, Severity};

/// What `pintle check` is told.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Configurations, or files with configurations in them: manifests of Kubernetes, configurations of
    /// Envoy. `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Take warnings for errors.
    #[arg(long)]
    deny_warnings: bool,
}

/// Checks all files and says what came of it.
pub fn run(options: &Options, style: Style, output: &mut dyn Write) -> io::Result<Verdict> {
    let files: Vec<Report> = options.files.iter().map(|path| check(path)).collect();
    let verdict = files.iter().map(|file| file.verdict(options.deny_warnings)).max();
    let verdict = verdict.unwrap_or_default();
    match style.format {
        Format::Text => files.iter().try_for_each(|file| file.write(style.colours, output))?,
        Format::Json => report::write_json(&files, verdict, output)?,
    }
    Ok(verdict)
}

fn check(path: &Path) -> Report {
    let file = input::name(path);
    let survey = match input::find(path) {
        Ok(survey) => survey,
        Err(error) => return Report { trouble: Some(trouble(&error)), ..Report::of(file) },
    };
    let configurations: Vec<_> = survey.found.iter().map(judge).collect();
    let trouble = configurations.is_empty().then(|| nothing_found(&survey.others));
    Report { configurations, trouble, ..Report::of(file) }
}

fn trouble(error: &InputError) -> Diagnostic {
    let at = match error {
        InputError::Unreadable(Unreadable { line, column, .. }) => {
            Some(Position { line: *line, column: *column })
        }
        _ => None,
    };
    Diagnostic { severity: Severity::Error, at, pointer: None, message: error.to_string() }
}

fn nothing_found(others: &[String]) -> Diagnostic {
    let mut message = "there is no configuration of Pintle in it".to_owned();
    if !others.is_empty() {
        message.push_str("; taken for that of another filter, as neither its names nor its members are Pintle's: ");
        message.push_str(&others.join(", "));
    }
    Diagnostic { severity: Severity::Error, at: None, pointer: None, message }
}

fn judge(found: &Found) -> Configuration {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut needs_content = false;
    match Policy::<pintle_core::NoFurther>::load(found.document.as_bytes(), HashKey::new([0; 16])) {
        Err(errors) => diagnostics.extend(errors.iter().map(|error| Diagnostic {
            severity: Severity::Error,
            at: Some(found.locate(error)),
            pointer: Some(error.pointer().to_owned()),
            message: error.refusal().to_string(),
        })),
        Ok(policy) => {
            needs_content = policy.replaces_content();
            if policy.is_inert() {
                let message = "the configuration has no filters, so every request passes";
                diagnostics.push(warning(found.at, message));
            }
            if let (Artefact::Headers, Some(name)) =
                (found.carrier.artefact, policy.first_to_replace_content())
            {
                let message = format!(
                    "the filter `{name}` replaces the content of responses, and pintle-headers.wasm sees \
                     none of it: take pintle.wasm"
                );
                let severity = Severity::Error;
                diagnostics.push(Diagnostic {
                    severity,
                    at: Some(found.at),
                    pointer: None,
                    message,
                });
            }
        }
    }
    let filters = chain::filters(&found.document);
    if let Some(at) = found.carrier.fails_open
        && let Some(filter) = filters.iter().find(|filter| filter.authenticates())
    {
        let message = format!(
            "requests pass unchecked while the filter does not run, and `{}` decides on access: whoever can \
             make it fail is let in",
            filter.kind
        );
        diagnostics.push(warning(at, &message));
    }
    diagnostics.extend(found.carrier.remarks.iter().map(|remark| Diagnostic {
        severity: if remark.is_error { Severity::Error } else { Severity::Warning },
        at: Some(remark.at),
        pointer: None,
        message: remark.message.to_owned(),
    }));
    diagnostics.sort_by_key(|diagnostic| diagnostic.at);
    let filters = filters.into_iter().map(|filter| filter.kind).collect();
    Configuration {
        within: found.within.clone(),
        at: found.at,
        filters,
        needs_content,
        diagnostics,
    }
}

fn warning(at: Position, message: &str) -> Diagnostic {
    let message = message.to_owned();
    Diagnostic { severity: Severity::Warning, at: Some(at), pointer: None, message }
}
