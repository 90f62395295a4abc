//! What is in the files, and under which licences: crates, and what the toolchain adds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::artefact::WASM_TRIPLE;

use super::bare::{self, Bare};
use super::builds::Files;
use super::images::Content;
use super::licences::{self, read};
use super::platform::Platform;
use super::toolchain::{Toolchain, zig_version};

/// It, file by file.
pub(crate) struct Contents {
    /// Of both wasm modules.
    pub(crate) wasm: Vec<Part>,
    modules: Vec<(Platform, Vec<Part>)>,
    copier: Vec<Part>,
}

/// Something that is in a file.
#[derive(Debug)]
pub(crate) struct Part {
    /// What sort of thing.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its licence, an SPDX expression.
    pub(crate) licence: String,
    /// The texts that go with it.
    pub(crate) texts: Vec<String>,
}

/// Where something in a file comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A crate of this workspace, under its licence.
    Ours,
    /// A crate of others.
    Crate,
    /// Rust or Zig; its package URL.
    OfTools(String),
}

impl Contents {
    /// Looks the crates up, and collects their licences.
    pub(crate) async fn of(bare: &Bare<'_>, files: &Files) -> Result<Self> {
        let tools = Tools::of(&files.toolchain)?;
        let mut wasm = crates(&bare.metadata(WASM_TRIPLE).await?, bare::WASM[1])?;
        wasm.extend([tools.std(), tools.wasi_libc()]);
        let mut modules = Vec::new();
        for native in &files.native {
            let metadata = bare.metadata(native.platform.gnu()).await?;
            let mut module = crates(&metadata, bare::MODULE[1])?;
            module.extend([tools.std(), tools.glibc(), tools.libunwind(), tools.compiler_rt()]);
            modules.push((native.platform, module));
        }
        Ok(Self { wasm, modules, copier: vec![tools.std(), tools.musl()] })
    }

    /// What is in the module for a platform.
    pub(crate) fn module(&self, platform: Platform) -> Result<&[Part]> {
        let module = self.modules.iter().find(|(of, _)| *of == platform);
        module.map(|(_, parts)| parts.as_slice()).context("there is no such module")
    }

    /// The licences of all that is in an image, an SPDX expression.
    pub(crate) fn licence(&self, content: Content) -> String {
        let modules = self.modules.iter().flat_map(|(_, parts)| parts);
        let parts: Vec<&Part> = match content {
            Content::Compat(_) | Content::Artifact(_) => self.wasm.iter().collect(),
            Content::Module => modules.chain(&self.copier).collect(),
        };
        licences::together(parts.iter().map(|part| part.licence.as_str()))
    }

    /// The licences of others, each once, and for what it is.
    pub(crate) fn notices(&self) -> String {
        let modules = self.modules.iter().flat_map(|(_, parts)| parts);
        let mut texts = BTreeMap::<&str, BTreeSet<String>>::new();
        for part in self.wasm.iter().chain(modules).chain(&self.copier) {
            for text in &part.texts {
                let of = format!("{} {} ({})", part.name, part.version, part.licence);
                texts.entry(text).or_default().insert(of);
            }
        }
        let mut sections: Vec<_> = texts.into_iter().map(|(text, of)| (of, text)).collect();
        sections.sort();
        let mut notices =
            "The files of Pintle are under the licence in LICENSE. What they are made of \
                           beside is under the licences below.\n"
                .to_owned();
        for (of, text) in sections {
            let of = of.into_iter().collect::<Vec<_>>().join("\n");
            notices.push_str(&format!("\n{}\n{of}\n\n{text}\n", "=".repeat(80)));
        }
        notices
    }
}

/// The crates that are linked into a package: no tools of its build, and no procedural macros, of which only
/// what they write is in a file.
fn crates(metadata: &Value, package: &str) -> Result<Vec<Part>> {
    let by_id = |list: &'_ Value| -> Result<BTreeMap<String, Value>> {
        let list = list.as_array().context("cargo metadata lacks a list")?;
        let id = |one: &Value| Some((one["id"].as_str()?.to_owned(), one.clone()));
        Ok(list.iter().filter_map(id).collect())
    };
    let (packages, nodes) = (by_id(&metadata["packages"])?, by_id(&metadata["resolve"]["nodes"])?);
    let root = packages.iter().find(|(_, one)| one["name"] == package);
    let mut open = vec![root.with_context(|| format!("there is no {package}"))?.0.as_str()];
    let mut found = BTreeMap::new();
    while let Some(id) = open.pop() {
        let one = packages.get(id).with_context(|| format!("there is no {id}"))?;
        let targets = one["targets"].as_array().into_iter().flatten();
        let mut kinds = targets.flat_map(|target| target["kind"].as_array().into_iter().flatten());
        if found.contains_key(id) || kinds.any(|kind| kind == "proc-macro") {
            continue;
        }
        found.insert(id, part(one)?);
        for on in nodes.get(id).and_then(|node| node["deps"].as_array()).into_iter().flatten() {
            let mut kinds = on["dep_kinds"].as_array().into_iter().flatten();
            if kinds.any(|kind| kind["kind"].is_null()) {
                open.push(on["pkg"].as_str().context("a dependency without a name")?);
            }
        }
    }
    Ok(found.into_values().collect())
}

fn part(package: &Value) -> Result<Part> {
    let text = |field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let (name, version) = (text("name"), text("version"));
    let (mut kind, mut texts) = (Kind::Ours, Vec::new());
    if !package["source"].is_null() {
        kind = Kind::Crate;
        let folder = text("manifest_path");
        let folder = Path::new(&folder).parent().context("a manifest without a folder")?;
        texts = licences::of_folder(folder)?;
        ensure!(!texts.is_empty(), "{name} {version} comes without its licence");
    }
    // As older manifests have it.
    let licence = text("license").replace('/', " OR ");
    ensure!(!licence.is_empty(), "{name} {version} has no licence");
    Ok(Part { kind, name, version, licence, texts })
}

/// What Rust and Zig put into files, and the licences that they bring along for it.
struct Tools<'t> {
    toolchain: &'t Toolchain,
    std: Vec<String>,
    wasi_libc: Vec<String>,
    musl: String,
    glibc: String,
    libunwind: String,
    zig: String,
}

impl<'t> Tools<'t> {
    fn of(toolchain: &'t Toolchain) -> Result<Self> {
        let rust = toolchain.rust.join("share/doc/rust");
        let zig = |file: &str| read(&toolchain.zig.join(file));
        let mut std = licences::in_page(&read(&rust.join("COPYRIGHT-library.html"))?);
        for file in ["Apache-2.0", "LLVM-exception", "MIT", "Unicode-3.0"] {
            std.push(read(&rust.join(format!("licenses/{file}.txt")))?);
        }
        let musl = zig("lib/libc/musl/COPYRIGHT")?;
        let mut wasi_libc = licences::of_folder(&toolchain.zig.join("lib/libc/wasi"))?;
        wasi_libc.push(musl.clone());
        let glibc = zig("lib/libc/glibc/io/stat64-2.32.c")?;
        Ok(Self {
            toolchain,
            std,
            wasi_libc,
            musl,
            glibc: glibc.split_inclusive("*/").next().unwrap_or_default().to_owned(),
            libunwind: zig("lib/libunwind/LICENSE.TXT")?,
            zig: zig("LICENSE")?,
        })
    }

    fn std(&self) -> Part {
        let licence = "(Apache-2.0 OR MIT) AND Apache-2.0 WITH LLVM-exception AND Unicode-3.0";
        self.of_rust("std", licence, self.std.clone())
    }

    fn wasi_libc(&self) -> Part {
        let licence =
            "(Apache-2.0 OR Apache-2.0 WITH LLVM-exception OR MIT) AND BSD-2-Clause AND MIT";
        self.of_rust("wasi-libc", licence, self.wasi_libc.clone())
    }

    fn musl(&self) -> Part {
        self.of_rust("musl", "MIT", vec![self.musl.clone()])
    }

    /// What of an older glibc is linked in and not loaded: calls that had no name of their own in it.
    fn glibc(&self) -> Part {
        of_zig("libc_nonshared", "LGPL-2.1-or-later WITH GCC-exception-2.0-note", &self.glibc)
    }

    fn libunwind(&self) -> Part {
        of_zig("libunwind", "Apache-2.0 WITH LLVM-exception", &self.libunwind)
    }

    fn compiler_rt(&self) -> Part {
        of_zig("compiler_rt", "MIT", &self.zig)
    }

    fn of_rust(&self, name: &str, licence: &str, texts: Vec<String>) -> Part {
        let version = self.toolchain.rust_version.clone();
        Part {
            kind: Kind::OfTools(format!("pkg:generic/rust@{version}#{name}")),
            name: name.to_owned(),
            version: format!("Rust {version}"),
            licence: licence.to_owned(),
            texts,
        }
    }
}

fn of_zig(name: &str, licence: &str, text: &str) -> Part {
    let version = zig_version();
    Part {
        kind: Kind::OfTools(format!("pkg:pypi/ziglang@{version}#lib/{name}")),
        name: name.to_owned(),
        version: format!("Zig {version}"),
        licence: licence.to_owned(),
        texts: vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn procedural_macros_and_tools_of_the_build_are_in_no_file() {
        let package = |name: &str, kind: &str| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": null,
                   "targets": [{"kind": [kind]}]})
        };
        let on = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("p", "lib"), package("derive", "proc-macro"), package("syn", "lib"),
                         package("cc", "lib"), package("serde", "lib")],
            "resolve": {"nodes": [
                {"id": "p", "deps": [on("serde", Value::Null), on("cc", json!("build"))]},
                {"id": "serde", "deps": [on("derive", Value::Null)]},
                {"id": "derive", "deps": [on("syn", Value::Null)]},
            ]},
        });
        let found = crates(&metadata, "p").unwrap();
        let names: Vec<&str> = found.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["p", "serde"]);
    }
}
