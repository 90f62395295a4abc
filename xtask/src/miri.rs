//! The unsafe code under Miri, Rust's interpreter that finds undefined behaviour.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

const TOOLCHAIN: &str = "nightly";

/// What Miri runs: the unsafe code is behind both ABIs, so the tests that drive it through the fakes
/// there. The corpus goes the same ways, at hundreds of times the cost.
const TESTS: [&[&str]; 3] = [
    &["--package", "envoy-proxy-dynamic-modules-rust-sdk", "--features", "fakes", "--lib"],
    &["--package", "pintle-wasm", "--lib", "--test", "vm"],
    &["--package", "pintle-dynamic-module", "--lib", "--test", "module"],
];

/// Runs it all, with the tests' output where ours goes. Without a toolchain that has Miri it says
/// what is missing; with `CI=true` it installs that.
pub(crate) fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    if !has_miri() {
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            install()?;
        } else {
            println!(
                "skipped Miri: install it with `rustup toolchain install {TOOLCHAIN} \
                 --profile minimal --component miri,rust-src`"
            );
            return Ok(());
        }
    }
    for tests in TESTS {
        let mut cargo = rustup(&["run", TOOLCHAIN, "cargo", "miri", "test"]);
        // Artefacts of its own: those of another compiler would be built anew each time.
        cargo.current_dir(root).args(["--target-dir", "target/miri"]).args(tests);
        let status = cargo.status().context("starting cargo miri")?;
        if !status.success() {
            bail!("cargo miri test {} failed ({status})", tests.join(" "));
        }
    }
    Ok(())
}

fn has_miri() -> bool {
    let mut version = rustup(&["run", TOOLCHAIN, "cargo", "miri", "--version"]);
    let status = version.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn install() -> Result<()> {
    let components = ["--profile", "minimal", "--component", "miri,rust-src"];
    let mut install = rustup(&["toolchain", "install", TOOLCHAIN]);
    let status = install.args(components).status().context("starting rustup")?;
    if !status.success() {
        bail!("rustup toolchain install {TOOLCHAIN} failed ({status})");
    }
    Ok(())
}

/// Without the settings that the Cargo that runs us has made for its own toolchain.
fn rustup(arguments: &[&str]) -> Command {
    let mut rustup = Command::new("rustup");
    rustup.args(arguments).stdin(Stdio::null());
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        rustup.env_remove(name);
    }
    rustup
}
