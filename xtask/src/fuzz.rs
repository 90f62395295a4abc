//! The fuzz targets of `core/fuzz`, each for a bounded number of inputs.
//!
//! `cargo fuzz run <target>` does the same without a bound, and with sanitizers; this needs neither
//! cargo-fuzz nor a nightly compiler, and a C++ compiler for libFuzzer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Error, Result, bail};
use serde_json::Value;

use crate::guard;
use crate::suite::{Ground, Tally};

const TARGETS: [Target; 6] = [
    Target { name: "configuration", runs: 100_000, dictionary: Some("configuration.dict") },
    Target { name: "path", runs: 200_000, dictionary: None },
    Target { name: "authorization", runs: 200_000, dictionary: None },
    Target { name: "pairs", runs: 200_000, dictionary: None },
    Target { name: "request", runs: 200_000, dictionary: None },
    Target { name: "problem", runs: 200_000, dictionary: Some("problem.dict") },
];

struct Target {
    /// Of the program, and of its folder of seeds.
    name: &'static str,
    /// How many inputs: few seconds' worth.
    runs: u32,
    dictionary: Option<&'static str>,
}

/// What cargo-fuzz compiles with, sanitizers aside.
const RUSTFLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Builds the targets once and runs each with the same random numbers every time.
pub(crate) async fn run(ground: &Ground) -> Result<Tally> {
    let mut tally = Tally::default();
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    if !starts(&compiler).await {
        tally.skip("the fuzz targets", &format!("{compiler} (libFuzzer is C++)"))?;
        return Ok(tally);
    }
    let folder = ground.workspace.root.join("core/fuzz");
    // Other flags than everywhere else: in one folder each build would undo the other.
    let target = ground.workspace.target.join("fuzz");
    let programs = build(ground, &folder, &target).await?;
    for fuzz in TARGETS.iter().filter(|fuzz| ground.wants(fuzz.name)) {
        let result = match programs.get(fuzz.name) {
            Some(program) => fuzz.run(program, &folder, &target).await,
            None => Err(Error::msg("there is no such target in core/fuzz/Cargo.toml")),
        };
        tally.record("fuzz", format!("{} with {} inputs", fuzz.name, fuzz.runs), result);
    }
    Ok(tally)
}

/// The programs by their names.
async fn build(ground: &Ground, folder: &Path, target: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut cargo = ground.workspace.cargo();
    cargo.args(["build", "--release", "--locked", "--message-format=json-render-diagnostics"]);
    // With a target, the flags are not for build scripts and procedural macros.
    cargo.args(["--target", "host-tuple", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(target).env("RUSTFLAGS", RUSTFLAGS);
    // This one would win over the other.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS");
    let output = cargo.stderr(Stdio::inherit()).output().await.context("starting cargo build")?;
    if !output.status.success() {
        bail!("building the fuzz targets failed ({})", output.status);
    }
    let messages = output.stdout.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Value>);
    let program = |message: Value| {
        let path = message.get("executable")?.as_str()?;
        Some((message.pointer("/target/name")?.as_str()?.to_owned(), path.into()))
    };
    Ok(messages.flatten().filter_map(program).collect())
}

impl Target {
    async fn run(&self, program: &Path, folder: &Path, target: &Path) -> Result<()> {
        // New inputs of interest go where the first folder is; it starts empty, so that every run
        // is the same.
        let found = target.join("found").join(self.name);
        if found.exists() {
            std::fs::remove_dir_all(&found).with_context(|| format!("{}", found.display()))?;
        }
        let artifacts = folder.join("artifacts").join(self.name);
        for folder in [&found, &artifacts] {
            std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        }
        let mut fuzz = guard::command(program);
        fuzz.arg(format!("-runs={}", self.runs));
        fuzz.args(["-seed=1", "-max_len=2048", "-timeout=20", "-verbosity=0"]);
        // Where `cargo fuzz run` looks for them too.
        fuzz.arg(format!("-artifact_prefix={}/", artifacts.display()));
        if let Some(dictionary) = self.dictionary {
            fuzz.arg(format!("-dict={}", folder.join(dictionary).display()));
        }
        fuzz.arg(found).arg(folder.join("seeds").join(self.name));
        let output = fuzz.output().await.with_context(|| format!("starting {}", self.name))?;
        if !output.status.success() {
            bail!("{}\n{}", String::from_utf8_lossy(&output.stderr), output.status);
        }
        Ok(())
    }
}

async fn starts(program: &str) -> bool {
    let mut command = guard::command(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}
