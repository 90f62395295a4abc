//! `pintle`, the command.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use pintle_cli::module::{self, Names, Table};
use pintle_cli::output::{Format, Style, Verdict, printable};
use pintle_cli::{check, convert, explain, schema};

/// Tools for Pintle, the filters for Envoy.
///
/// Exit codes: 0, all is well; 1, a configuration, or a module, is refused; 2, there was nothing to
/// judge: the command was not understood, a file cannot be read, or there is no configuration in it.
#[derive(Parser)]
#[command(name = "pintle", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Says whether the filter takes a configuration.
    ///
    /// Finds every configuration of Pintle in YAML or JSON: a file of its own, a WasmPlugin, a
    /// TrafficExtension, an EnvoyFilter, an EnvoyExtensionPolicy, a ConfigMap, a configuration of
    /// Envoy. Errors are those of the filter itself, with their places in the file, and name fields, never
    /// values.
    Check {
        #[command(flatten)]
        options: check::Options,
        #[command(flatten)]
        form: Form,
    },
    /// Shows what each filter makes of a request, and why.
    Explain {
        #[command(flatten)]
        options: explain::Options,
        #[command(flatten)]
        form: Form,
    },
    /// Prints the configuration of another plug-in in Pintle's own form.
    ///
    /// What the two forms cannot say alike is told on standard error. docs/migrating.md has what Pintle
    /// does differently in either form.
    Convert(convert::Options),
    /// Prints the JSON Schema of the configuration.
    Schema,
    /// Prints what a shell needs to complete this command.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the export table of a wasm module: what Envoy calls, under the names that it calls.
    ///
    /// The module's functions `pintle_X` are exported as `proxy_X`, next to `memory` and
    /// `_initialize`; all else is no longer exported, and what nothing reaches any more goes.
    Module {
        /// The module as cargo has built it for wasm32-wasip1.
        input: PathBuf,
        /// Where the module for Envoy goes.
        #[arg(short, long)]
        output: PathBuf,
        /// Leave out the callbacks about the content of responses, which Envoy makes for each piece of
        /// it. The module then refuses a configuration that needs them.
        #[arg(long)]
        headers: bool,
        /// Drop the names of functions: a smaller file, and no backtraces in Envoy's log.
        #[arg(long)]
        strip_names: bool,
    },
}

#[derive(clap::Args)]
struct Form {
    /// The form of what is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| without_values(error).exit());
    match run(arguments.command) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            // Whoever reads it may have enough, such as `head`; a verdict was not given all the same.
            if !is_broken_pipe(&error) {
                eprintln!("error: {error:#}");
            }
            Verdict::Unusable.into()
        }
    }
}

/// An error of the command line that quotes no value: a field whose quotation marks were forgotten may be a
/// credential.
fn without_values(mut error: clap::Error) -> clap::Error {
    // It names what was not expected; elsewhere the option that a value was for.
    let unexpected = ErrorKind::UnknownArgument;
    let is_shown = |kind, value: &ContextValue| match (kind, value) {
        (ContextKind::Suggested | ContextKind::InvalidSubcommand, _) => false,
        (ContextKind::InvalidValue, ContextValue::String(text)) => text.is_empty(),
        (ContextKind::InvalidArg, _) => error.kind() != unexpected,
        _ => true,
    };
    let hidden: Vec<ContextKind> =
        error.context().filter(|(kind, value)| !is_shown(*kind, value)).map(|(k, _)| k).collect();
    for kind in hidden {
        match kind {
            ContextKind::Suggested => error.remove(kind),
            _ => error.insert(kind, ContextValue::String("..".to_owned())),
        };
    }
    error
}

fn run(command: Command) -> anyhow::Result<Verdict> {
    let mut output = io::stdout().lock();
    match command {
        Command::Check { options, form } => {
            Ok(check::run(&options, Style::of_stdout(form.format), &mut output)?)
        }
        Command::Explain { options, form } => {
            let style = Style::of_stdout(form.format);
            let accepted = explain::run(&options, style, &mut output)?;
            Ok(if accepted { Verdict::Good } else { Verdict::Refused })
        }
        Command::Convert(options) => Ok(convert::run(&options, &mut output, &mut io::stderr())?),
        Command::Schema => {
            schema::run(&mut output)?;
            Ok(Verdict::Good)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "pintle", &mut script);
            output.write_all(&script)?;
            Ok(Verdict::Good)
        }
        Command::Module { input, output: to, headers, strip_names } => {
            let table = if headers { Table::Headers } else { Table::Whole };
            let names = if strip_names { Names::Strip } else { Names::Keep };
            match write_module(&input, &to, table, names, &mut output) {
                Ok(()) => Ok(Verdict::Good),
                // Nothing was judged.
                Err(error) if error.is::<io::Error>() => Err(error),
                Err(error) => {
                    eprintln!("error: {error:#}");
                    Ok(Verdict::Refused)
                }
            }
        }
    }
}

fn write_module(
    input: &Path,
    to: &Path,
    table: Table,
    names: Names,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let [from, into] = [input, to].map(|path| printable(&path.to_string_lossy()));
    let before = fs::read(input).with_context(|| format!("cannot read {from}"))?;
    let after = module::write_exports_with(&before, table, names)
        .with_context(|| format!("cannot write the exports of {from}"))?;
    fs::write(to, &after).with_context(|| format!("cannot write {into}"))?;
    writeln!(output, "{from}: {} bytes", before.len())?;
    writeln!(output, "{into}: {} bytes", after.len())?;
    for name in module::exports(&after)? {
        writeln!(output, "  {name}")?;
    }
    Ok(())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
