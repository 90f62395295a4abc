//! `pintle`, the command.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};
use pintle_cli::module::{self, Names, Table};

/// Tools for Pintle, the filters for Envoy.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Module { input, output, headers, strip_names } => {
            let table = if headers { Table::Headers } else { Table::Whole };
            let names = if strip_names { Names::Strip } else { Names::Keep };
            write_module(&input, &output, table, names)
        }
    }
}

fn write_module(input: &Path, output: &Path, table: Table, names: Names) -> anyhow::Result<()> {
    let before = fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
    let after = module::write_exports_with(&before, table, names)
        .with_context(|| format!("cannot write the exports of {}", input.display()))?;
    fs::write(output, &after).with_context(|| format!("cannot write {}", output.display()))?;
    println!("{}: {} bytes", input.display(), before.len());
    println!("{}: {} bytes", output.display(), after.len());
    for name in module::exports(&after)? {
        println!("  {name}");
    }
    Ok(())
}
