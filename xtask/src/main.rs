//! `cargo xtask <verb>`: build the artefacts, show them at work, test them, measure them.

mod access_log;
mod admin;
mod artefact;
mod authority;
mod bench;
mod bootstrap;
mod cargo;
mod chart;
mod client;
mod clusters;
mod corpus;
mod crates;
mod demo;
mod deploy;
mod documents;
mod envoy;
mod exchange;
mod fuzz;
mod grpc;
mod guard;
mod identity;
mod log;
mod manifests;
mod mesh;
mod metrics;
mod miri;
mod oauth;
mod own_filter;
mod package;
mod panics;
mod payload;
mod problems;
mod process;
mod script;
mod site;
mod stats;
mod suite;
mod table;
mod tools;
mod traffic;
mod trial;
mod updates;
mod upstream;
mod view;
mod yaml;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Builds, shows and tests Pintle.
#[derive(Parser)]
#[command(name = "cargo xtask", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Builds dist/pintle.wasm, dist/pintle-headers.wasm and dist/libpintle.so.
    Build,
    /// Sends scripted requests through both artefacts on one Envoy, and shows what each made of them.
    Demo(demo::Options),
    /// Runs the crates' own tests, then every suite on a real Envoy.
    Test(suite::Options),
    /// Measures what each way to run a filter costs, side by side on one Envoy.
    Bench(bench::Options),
    /// Makes the images in dist/oci/, and pushes them.
    Package(package::Options),
    /// Makes a site of the documentation, in target/site/html/.
    Site,
    /// Runs a command that is killed when this process goes.
    #[command(name = guard::VERB, hide = true)]
    Guard {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let verb = match Arguments::parse().verb {
        // Replaces the process, so no runtime may stand in the way.
        Verb::Guard { command } => return fail(&guard::become_command(&command)),
        verb => verb,
    };
    match run(verb) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Runs a verb until it ends or the user ends it; whatever it started dies with its future.
fn run(verb: Verb) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let code = runtime.block_on(async {
        tokio::select! {
            // Work that waits for the same signal ends in its own way.
            biased;
            result = work(verb) => result,
            result = guard::stopped() => {
                result?;
                eprintln!();
                Ok(ExitCode::from(guard::STOPPED))
            }
        }
    });
    runtime.shutdown_background();
    code
}

async fn work(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Build => {
            artefact::build(&cargo::Workspace::find().await?).await.map(|()| ExitCode::SUCCESS)
        }
        Verb::Demo(options) => demo::run(options).await,
        Verb::Test(options) => suite::run(options).await,
        Verb::Bench(options) => bench::run(options).await,
        Verb::Package(options) => package::run(options).await,
        Verb::Site => site::make().await,
        Verb::Guard { .. } => Ok(ExitCode::FAILURE),
    }
}
