//! A bill of materials (CycloneDX 1.5) for each file: which crates are in it, and what the toolchain adds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::artefact::WASM_TRIPLE;
use crate::cargo::Workspace;
use crate::{guard, tools};

use super::bare::{self, Bare};
use super::builds::Files;
use super::contents::{Contents, Kind, Part};
use super::images::{self, Wasm};
use super::layout;
use super::origin::Origin;

const VERSION: &str = "0.5.9";

/// Writes the bills of materials of all files beside the images.
pub(crate) async fn write(
    workspace: &Workspace,
    folder: &Path,
    files: &Files,
    (bare, contents): (&Bare<'_>, &Contents),
    origin: &Origin,
) -> Result<()> {
    // Built without optimising: it is run a few times, and checks what it writes when built so.
    let program = tools::cargo_program(workspace, "cargo-cyclonedx", VERSION, &["--debug"]).await?;
    let writer = Writer { program, bare, origin };
    let wasm = writer.describe(bare::WASM[0], WASM_TRIPLE, &contents.wasm).await?;
    for (which, bytes) in [(Wasm::Whole, &files.wasm), (Wasm::Headers, &files.headers)] {
        write_one(folder, images::wasm_file(which), &wasm, bytes)?;
    }
    for native in &files.native {
        let parts = contents.module(native.platform)?;
        let bill = writer.describe(bare::MODULE[0], native.platform.gnu(), parts).await?;
        write_one(folder, &images::module_file(origin, native.platform), &bill, &native.module)?;
    }
    Ok(())
}

/// The name of a file's bill of materials, beside the images.
pub(crate) fn name(file: &str) -> String {
    let (_, name) = file.rsplit_once('/').unwrap_or(("", file));
    format!("{name}.cdx.json")
}

/// Says of which file the bill is.
fn write_one(folder: &Path, file: &str, bill: &Value, bytes: &[u8]) -> Result<()> {
    let mut bill = bill.clone();
    let subject = &mut bill["metadata"]["component"];
    subject["name"] = Path::new(file).file_name().and_then(|name| name.to_str()).into();
    subject["hashes"] = json!([{"alg": "SHA-256", "content": layout::hex(bytes)}]);
    let mut text = serde_json::to_vec_pretty(&bill).context("rendering a bill of materials")?;
    text.push(b'\n');
    layout::write(&folder.join(name(file)), &text)
}

struct Writer<'a> {
    program: PathBuf,
    bare: &'a Bare<'a>,
    origin: &'a Origin,
}

impl Writer<'_> {
    /// The bill of materials of one member for a target.
    async fn describe(&self, member: &str, triple: &str, parts: &[Part]) -> Result<Value> {
        let root = &self.bare.root;
        let mut program = guard::command(&self.program);
        program.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"]);
        program.args(["--no-build-deps", "--override-filename", "bom", "--target", triple]);
        program.arg("--manifest-path").arg(root.join("Cargo.toml")).current_dir(root);
        // With it there is no serial number and no time of today.
        program.env("SOURCE_DATE_EPOCH", self.origin.epoch.to_string());
        guard::succeed(program, "cargo cyclonedx").await?;
        let file = root.join(member).join("bom.json");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        // The folder is part of the names of our own crates.
        let text = text.replace(&format!("path+file://{}/", root.display()), "path+file:///");
        let mut bill = serde_json::from_str(&text).context("reading a bill of materials")?;
        keep(&mut bill, parts)?;
        add(&mut bill, parts)?;
        Ok(bill)
    }
}

/// Takes out what is not in the file: `cargo cyclonedx` lists what procedural macros are made of as well.
fn keep(bill: &mut Value, parts: &[Part]) -> Result<()> {
    let components = bill["components"].as_array_mut().context("no components")?;
    components.retain(|component| {
        parts
            .iter()
            .any(|part| component["name"] == part.name && component["version"] == part.version)
    });
    let mut kept: BTreeSet<String> =
        components.iter().filter_map(|c| Some(c["bom-ref"].as_str()?.to_owned())).collect();
    let subject = bill["metadata"]["component"]["bom-ref"].as_str();
    kept.insert(subject.context("the bill has no subject")?.to_owned());
    let is_kept = |reference: &Value| reference.as_str().is_some_and(|name| kept.contains(name));
    let dependencies = bill["dependencies"].as_array_mut().context("no dependencies")?;
    dependencies.retain(|dependency| is_kept(&dependency["ref"]));
    for dependency in dependencies {
        if let Some(on) = dependency["dependsOn"].as_array_mut() {
            on.retain(is_kept);
        }
    }
    Ok(())
}

/// Adds what is no crate.
fn add(bill: &mut Value, parts: &[Part]) -> Result<()> {
    let subject = bill["metadata"]["component"]["bom-ref"].clone();
    for part in parts {
        let Kind::OfTools(place) = &part.kind else { continue };
        let components = bill["components"].as_array_mut().context("no components")?;
        components.push(json!({
            "type": "library",
            "bom-ref": place,
            "name": part.name,
            "version": part.version,
            "scope": "required",
            "licenses": [{"expression": part.licence}],
            "purl": place,
        }));
        let dependencies = bill["dependencies"].as_array_mut().context("no dependencies")?;
        dependencies.push(json!({"ref": place}));
        let on = dependencies.iter_mut().find(|dependency| dependency["ref"] == subject);
        let on = on.and_then(|of_subject| of_subject["dependsOn"].as_array_mut());
        on.context("the subject depends on nothing")?.push(json!(place));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_the_file_is_not_in_its_bill() {
        let mut bill = json!({
            "metadata": {"component": {"bom-ref": "p"}},
            "components": [
                {"bom-ref": "a", "name": "serde", "version": "1.0.0"},
                {"bom-ref": "b", "name": "syn", "version": "2.0.0"},
            ],
            "dependencies": [
                {"ref": "p", "dependsOn": ["a"]},
                {"ref": "a", "dependsOn": ["b"]},
                {"ref": "b"},
            ],
        });
        let part = |kind, name: &str, version: &str| Part {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            licence: "MIT".to_owned(),
            texts: Vec::new(),
        };
        let parts = [
            part(Kind::Crate, "serde", "1.0.0"),
            part(Kind::OfTools("pkg:generic/std@1".to_owned()), "std", "1"),
        ];
        keep(&mut bill, &parts).unwrap();
        add(&mut bill, &parts).unwrap();
        let names: Vec<_> =
            bill["components"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(names, ["serde", "std"]);
        let expected = json!([
            {"ref": "p", "dependsOn": ["a", "pkg:generic/std@1"]},
            {"ref": "a", "dependsOn": []},
            {"ref": "pkg:generic/std@1"},
        ]);
        assert_eq!(bill["dependencies"], expected);
    }
}
