//! The bills of materials.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::super::images::{self, Wasm};
use super::super::platform::Platform;
use super::super::{Made, layout, sbom};
use super::read;

/// What only this workspace's tools and tests are made of, and crates ask for under features of theirs.
const ELSEWHERE: [&str; 6] = ["clap", "pintle-cli", "schemars", "tokio", "toml", "walrus"];

/// Each is of its file, of this origin, and names the crates in it and no other.
pub(crate) fn check(folder: &Path, made: &Made) -> Result<()> {
    let (wasm, sdk) = ("proxy-wasm", "envoy-proxy-dynamic-modules-rust-sdk");
    for which in [Wasm::Whole, Wasm::Headers] {
        let file = images::wasm_file(which).to_owned();
        check_one(folder, made, &file, wasm, sdk).context(file)?;
    }
    for platform in Platform::ALL {
        let file = images::module_file(&made.origin, platform);
        check_one(folder, made, &file, sdk, wasm).context(file)?;
    }
    Ok(())
}

fn check_one(folder: &Path, made: &Made, file: &str, with: &str, without: &str) -> Result<()> {
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
    for needed in ["pintle-core", "regex-automata", "sha2", with] {
        ensure!(names.contains(needed), "{needed} is missing");
    }
    for strange in ELSEWHERE.iter().chain([&without]) {
        ensure!(!names.contains(strange), "{strange} is not in the file");
    }
    for component in components {
        let ours = component["name"].as_str().is_some_and(|name| name.starts_with("pintle-"));
        let licence = &component["licenses"][0];
        ensure!(!licence.is_null(), "{} has no licence", component["name"]);
        let from_registry = !ours && component["name"] != "envoy-proxy-dynamic-modules-rust-sdk";
        ensure!(
            !from_registry || component["hashes"][0]["alg"] == "SHA-256",
            "{} has no checksum",
            component["name"]
        );
    }
    Ok(())
}
