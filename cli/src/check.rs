//! `pintle check`: whether the filter takes a configuration, as the filter itself says it.

mod report;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::chain;
use crate::find::{Artefact, Found};
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
    if options.files.iter().filter(|file| input::is_stdin(file)).count() > 1 {
        let message = "standard input, `-`, can be read once";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let check = |path: &PathBuf| check(path, options.deny_warnings);
    let files: Vec<Report> = options.files.iter().map(check).collect();
    let verdict = files.iter().map(Report::verdict).max().unwrap_or_default();
    match style.format {
        Format::Text => files.iter().try_for_each(|file| file.write(style.colours, output))?,
        Format::Json => report::write_json(&files, verdict, output)?,
    }
    Ok(verdict)
}

fn check(path: &Path, deny_warnings: bool) -> Report {
    let file = input::name(path);
    let survey = match input::find(path) {
        Ok(survey) => survey,
        Err(error) => return Report { trouble: Some(trouble(&error)), ..Report::of(file) },
    };
    let mut configurations: Vec<_> = survey.found.iter().map(judge).collect();
    if deny_warnings {
        let diagnostics = configurations.iter_mut().flat_map(|c| &mut c.diagnostics);
        diagnostics.for_each(|diagnostic| diagnostic.severity = Severity::Error);
    }
    let message = "there is no configuration of Pintle in it";
    let trouble = configurations.is_empty().then(|| error(None, message));
    Report { configurations, trouble, others: survey.others, ..Report::of(file) }
}

fn trouble(why: &InputError) -> Diagnostic {
    let at = match why {
        InputError::Unreadable(unreadable) => Some(unreadable.at()),
        _ => None,
    };
    error(at, &why.to_string())
}

fn judge(found: &Found) -> Configuration {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut needs_content = false;
    match found.load() {
        Err(refused) => diagnostics.extend(refused.into_iter().map(|refused| Diagnostic {
            severity: Severity::Error,
            at: Some(refused.at),
            pointer: refused.pointer,
            message: refused.message,
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
                diagnostics.push(error(Some(found.at), &message));
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
    diagnostics.extend(found.carrier.remarks.iter().map(|remark| match remark.is_error {
        true => error(Some(remark.at), remark.message),
        false => warning(remark.at, remark.message),
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

fn error(at: Option<Position>, message: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Error, at, pointer: None, message: message.to_owned() }
}

fn warning(at: Position, message: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..error(Some(at), message) }
}
