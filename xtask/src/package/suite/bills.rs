//! The bills of materials.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::images::{self, Wasm};
use super::super::platform::Platform;
use super::super::{Made, layout, sbom};
use super::read;

/// What only this workspace's tools and tests are made of, crates ask for under features of theirs, or
/// procedural macros are.
const ELSEWHERE: [&str; 11] = [
    "clap",
    "pintle-cli",
    "proc-macro2",
    "quote",
    "schemars",
    "serde_derive",
    "syn",
    "tokio",
    "toml",
    "unicode-ident",
    "walrus",
];

/// Each is of its file, of this origin, and names the crates in it and no other.
pub(crate) fn check(folder: &Path, made: &Made) -> Result<()> {
    let wasm = ["proxy-wasm", "wasi-libc"];
    let native =
        ["envoy-proxy-dynamic-modules-rust-sdk", "libunwind", "compiler_rt", "libc_nonshared"];
    for which in [Wasm::Whole, Wasm::Headers] {
        let file = images::wasm_file(which).to_owned();
        check_one(folder, made, &file, &wasm, &native).context(file)?;
    }
    for platform in Platform::ALL {
        let file = images::module_file(&made.origin, platform);
        check_one(folder, made, &file, &native, &wasm).context(file)?;
    }
    Ok(())
}

fn check_one(
    folder: &Path,
    made: &Made,
    file: &str,
    with: &[&str],
    without: &[&str],
) -> Result<()> {
    let bill: Value = serde_json::from_slice(&read(&folder.join(sbom::name(file)))?)?;
    ensure!(bill["bomFormat"] == "CycloneDX", "the format {}", bill["bomFormat"]);
    ensure!(bill["specVersion"] == "1.5", "the version {}", bill["specVersion"]);
    ensure!(bill.get("serialNumber").is_none(), "a serial number");
    let metadata = &bill["metadata"];
    let time = metadata["timestamp"].as_str().context("no time")?;
    let created = made.origin.created()?;
    ensure!(time.starts_with(created.trim_end_matches('Z')), "the time {time}, not {created}");
    let hash = &metadata["component"]["hashes"][0]["content"];
    ensure!(*hash == layout::hex(&read(&folder.join(file))?), "it is of another file");
    let components = bill["components"].as_array().context("no components")?;
    let names: BTreeSet<&str> = components.iter().filter_map(|c| c["name"].as_str()).collect();
    for needed in ["pintle-core", "regex-automata", "sha2", "std"].iter().chain(with) {
        ensure!(names.contains(needed), "{needed} is missing");
    }
    for strange in ELSEWHERE.iter().chain(without) {
        ensure!(!names.contains(strange), "{strange} is not in the file");
    }
    let notices = folder.join("files").join(images::NOTICES);
    let notices = String::from_utf8(read(&notices)?).context(images::NOTICES)?;
    for component in components {
        let ours = component["name"].as_str().is_some_and(|name| name.starts_with("pintle-"));
        let licence = &component["licenses"][0];
        ensure!(!licence.is_null(), "{} has no licence", component["name"]);
        if ours || component["name"] == "envoy-proxy-dynamic-modules-rust-sdk" {
            continue;
        }
        let text = |field: &str| component[field].as_str().unwrap_or_default();
        let heading = format!("\n{} {} (", text("name"), text("version"));
        ensure!(notices.contains(&heading), "{} has no text of its licence", component["name"]);
        ensure!(
            !text("purl").starts_with("pkg:cargo/") || component["hashes"][0]["alg"] == "SHA-256",
            "{} has no checksum",
            component["name"]
        );
    }
    Ok(())
}
