//! The crates' own tests: units, the corpus in memory and on both fakes, documentation examples.

use std::process::Stdio;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::suite::{Ground, Tally};

/// What the tests need beside the default features.
const FEATURES: &str = "pintle-core/schema,pintle-core/testing,pintle-dynamic-module/test-panic,pintle-wasm/test-panic";

/// `cargo test` on the workspace.
pub(crate) async fn run(ground: &Ground) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut cargo = ground.workspace.cargo();
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast", "--features", FEATURES]);
    cargo.args(ground.text());
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("starting cargo test")?;
    let output = child.stdout.take().context("the output of cargo test")?;
    let mut lines = BufReader::new(output).lines();
    let mut failed = 0;
    while let Some(line) = lines.next_line().await.context("reading the output of cargo test")? {
        println!("{line}");
        if let Some((passed, more_failed)) = counts(&line) {
            tally.pass_many(passed);
            failed += more_failed;
        }
    }
    let status = child.wait().await.context("waiting for cargo test")?;
    if !status.success() {
        tally.fail("cargo test", format!("{failed} tests failed ({status})"));
    }
    Ok(tally)
}

/// The numbers in "test result: ok. 12 passed; 0 failed; ..."
fn counts(line: &str) -> Option<(usize, usize)> {
    let line = line.strip_prefix("test result: ")?;
    let count = |what: &str| {
        let before = line.split_once(what)?.0.trim_end();
        before.rsplit(' ').next()?.parse().ok()
    };
    Some((count("passed")?, count("failed")?))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn the_line_that_counts() {
        assert_eq!(
            counts("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured"),
            Some((12, 0))
        );
        assert_eq!(counts("test result: FAILED. 3 passed; 2 failed; 0 ignored"), Some((3, 2)));
        assert_eq!(counts("test a ... ok"), None);
    }
}
