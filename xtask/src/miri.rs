//! The unsafe code under Miri, Rust's interpreter that finds undefined behaviour.

use std::process::Stdio;

use anyhow::{Context, Error, Result, anyhow, bail};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::process::Command;

use crate::guard;
use crate::suite::{Ground, Tally};

const TOOLCHAIN: &str = "nightly";

/// What Miri runs, each at the same time as the others, for it uses one processor: the unsafe code is behind
/// both ABIs, so the tests that drive it through the fakes there. The corpus goes the same ways, at
/// hundreds of times the cost.
const TESTS: [&[&str]; 4] = [
    &["--package", "pintle-wasm", "--test", "vm"],
    &["--package", "pintle-wasm", "--lib"],
    &["--package", "envoy-proxy-dynamic-modules-rust-sdk", "--features", "fakes", "--lib"],
    &["--package", "pintle-dynamic-module", "--lib", "--test", "module", "--test", "content"],
];

/// Runs it all. With `CI=true` a toolchain that has Miri is installed where there is none.
pub(crate) async fn run(ground: &Ground) -> Result<Tally> {
    let mut tally = Tally::default();
    if !has_miri().await {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            install().await?;
        } else {
            let missing = format!(
                "Miri: `rustup toolchain install {TOOLCHAIN} --profile minimal \
                 --component miri,rust-src`"
            );
            tally.skip("the unsafe code under Miri", &missing)?;
            return Ok(tally);
        }
    }
    let mut running: FuturesUnordered<_> =
        TESTS.into_iter().map(|tests| interpret(ground, tests)).collect();
    while let Some((tests, result)) = running.next().await {
        tally.record("miri", format!("cargo miri test {}", tests.join(" ")), result);
    }
    Ok(tally)
}

/// Runs some of them, and prints what they told when they are through.
async fn interpret(
    ground: &Ground,
    tests: &'static [&'static str],
) -> (&'static [&'static str], Result<()>) {
    let mut cargo = rustup(&["run", TOOLCHAIN, "cargo", "miri", "test", "--locked"]);
    // Artefacts of its own: those of another compiler would be built anew each time.
    let target = ground.workspace.target.join("miri");
    cargo.current_dir(&ground.workspace.root).arg("--target-dir").arg(target).args(tests);
    let result = match cargo.output().await {
        Ok(output) => {
            print!("{}", String::from_utf8_lossy(&output.stderr));
            print!("{}", String::from_utf8_lossy(&output.stdout));
            match output.status.success() {
                true => Ok(()),
                false => Err(anyhow!("it ended with {}", output.status)),
            }
        }
        Err(error) => Err(Error::new(error).context("starting cargo miri")),
    };
    (tests, result)
}

async fn has_miri() -> bool {
    let mut version = rustup(&["run", TOOLCHAIN, "cargo", "miri", "--version"]);
    let status = version.stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

async fn install() -> Result<()> {
    let components = ["--profile", "minimal", "--component", "miri,rust-src"];
    let mut install = rustup(&["toolchain", "install", TOOLCHAIN]);
    let status = install.args(components).status().await.context("starting rustup")?;
    if !status.success() {
        bail!("rustup toolchain install {TOOLCHAIN} failed ({status})");
    }
    Ok(())
}

/// Without the settings that the Cargo that runs us has made for its own toolchain.
fn rustup(arguments: &[&str]) -> Command {
    let mut rustup = guard::command("rustup");
    rustup.args(arguments);
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        rustup.env_remove(name);
    }
    rustup
}
