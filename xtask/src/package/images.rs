//! The images: which there are, and what is in each.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cargo::Workspace;
use crate::mesh::make_empty;

use super::builds::{Files, Native};
use super::contents::Contents;
use super::layer::{Entry, Layer, layer};
use super::layout::{self, INDEX, Layout, MANIFEST};
use super::origin::Origin;
use super::platform::Platform;

/// What is the same on every image, for those who publish their own to add to.
const ANNOTATIONS: &str = "deploy/oci/annotations.json";

/// Where the files lie as they are, for those who want no image.
const FILES: &str = "files";

/// The licence, which goes wherever the files go.
pub(crate) const LICENCE: &str = "LICENSE";

/// The licences of all else that is in the files, which goes with it.
pub(crate) const NOTICES: &str = "THIRD-PARTY-LICENSES";

/// The media type of a layer that every container runtime knows.
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The media type of an image's configuration.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// The media types of the Wasm Artifact Image Specification.
pub(crate) const WASM_CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
/// Likewise.
pub(crate) const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";

/// Nobody, in the image that has a program: no number that a system gives to a user.
const NOBODY: &str = "65532:65532";

/// An image, and under which names it goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its folder in `dist/oci`.
    pub(crate) folder: &'static str,
    /// What stands behind the version in its tag.
    pub(crate) suffix: &'static str,
    /// What it is, for people who find it in a registry.
    pub(crate) title: &'static str,
    /// What is in it.
    pub(crate) content: Content,
}

/// What is in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A layer of files with `plugin.wasm` in it: the variant `compat` of the Wasm Image Specification.
    Compat(Wasm),
    /// A layer that is the wasm module itself: the variant `oci` of it.
    Artifact(Wasm),
    /// The dynamic module, for each platform.
    Module,
}

/// Which wasm module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wasm {
    /// `pintle.wasm`.
    Whole,
    /// `pintle-headers.wasm`.
    Headers,
}

/// All images, in the order in which they are pushed: those that every registry takes first.
pub(crate) const IMAGES: [Image; 5] = [
    Image {
        folder: "pintle",
        suffix: "",
        title: "pintle.wasm",
        content: Content::Compat(Wasm::Whole),
    },
    Image {
        folder: "pintle-headers",
        suffix: "-headers",
        title: "pintle-headers.wasm",
        content: Content::Compat(Wasm::Headers),
    },
    Image {
        folder: "pintle-module",
        suffix: "-module",
        title: "libpintle.so",
        content: Content::Module,
    },
    Image {
        folder: "pintle-oci-artifact",
        suffix: "-oci-artifact",
        title: "pintle.wasm",
        content: Content::Artifact(Wasm::Whole),
    },
    Image {
        folder: "pintle-headers-oci-artifact",
        suffix: "-headers-oci-artifact",
        title: "pintle-headers.wasm",
        content: Content::Artifact(Wasm::Headers),
    },
];

/// An image that was written.
pub(crate) struct Written {
    /// Which.
    pub(crate) image: &'static Image,
    /// Its tag in the layout.
    pub(crate) tag: String,
    /// The digest of its manifest, or of its index.
    pub(crate) digest: String,
}

/// The name under which a platform's module lies beside the images.
pub(crate) fn module_file(origin: &Origin, platform: Platform) -> String {
    format!("{FILES}/libpintle-{}-linux-{}.so", origin.version, platform.architecture())
}

/// The names of the wasm modules there.
pub(crate) const fn wasm_file(wasm: Wasm) -> &'static str {
    match wasm {
        Wasm::Whole => "files/pintle.wasm",
        Wasm::Headers => "files/pintle-headers.wasm",
    }
}

/// The module's name in its image that no other version has. Envoy takes no notice of another file under
/// a name that it has loaded.
pub(crate) fn versioned_module(origin: &Origin) -> String {
    format!("libpintle-{}.so", origin.version)
}

/// Writes all images into a folder, and the files as they are.
pub(crate) fn write(
    workspace: &Workspace,
    folder: &Path,
    files: &Files,
    contents: &Contents,
    origin: &Origin,
) -> Result<Vec<Written>> {
    make_empty(&folder.join(FILES))?;
    for wasm in [Wasm::Whole, Wasm::Headers] {
        layout::write(&folder.join(wasm_file(wasm)), files.wasm(wasm))?;
    }
    for native in &files.native {
        layout::write(&folder.join(module_file(origin, native.platform)), &native.module)?;
    }
    let template = workspace.root.join(ANNOTATIONS);
    let template = std::fs::read(&template)
        .with_context(|| format!("reading {}", template.display()))
        .and_then(|text| serde_json::from_slice(&text).context(ANNOTATIONS))?;
    let licence = workspace.root.join(LICENCE);
    let licence =
        std::fs::read(&licence).with_context(|| format!("reading {}", licence.display()))?;
    let licences = Licences { ours: licence, others: contents.notices().into_bytes() };
    layout::write(&folder.join(FILES).join(LICENCE), &licences.ours)?;
    layout::write(&folder.join(FILES).join(NOTICES), &licences.others)?;
    let mut written = Vec::new();
    for image in &IMAGES {
        let labels = labels(&template, image, &contents.licence(image.content), origin)?;
        let maker = Maker { layout: Layout::create(folder.join(image.folder))?, labels, origin };
        let descriptor = match image.content {
            Content::Compat(wasm) => maker.compat(files.wasm(wasm), &licences)?,
            Content::Artifact(wasm) => maker.artifact(files.wasm(wasm), image)?,
            Content::Module => maker.module(&files.native, &licences)?,
        };
        let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
        let tag = format!("{}{}", origin.tag(), image.suffix);
        maker.layout.finish(descriptor, &tag)?;
        written.push(Written { image, tag, digest });
    }
    Ok(written)
}

impl Files {
    fn wasm(&self, wasm: Wasm) -> &[u8] {
        match wasm {
            Wasm::Whole => &self.wasm,
            Wasm::Headers => &self.headers,
        }
    }
}

/// What goes into every layer of files.
struct Licences {
    ours: Vec<u8>,
    others: Vec<u8>,
}

impl Licences {
    fn entries(&self) -> [(&str, Entry<'_>); 2] {
        [(LICENCE, Entry::File(&self.ours, 0o644)), (NOTICES, Entry::File(&self.others, 0o644))]
    }
}

/// The labels of an image, under the names that the image specification has for them.
fn labels(
    template: &BTreeMap<String, String>,
    image: &Image,
    licence: &str,
    origin: &Origin,
) -> Result<BTreeMap<String, String>> {
    let mut labels = template.clone();
    let mut set = |name: &str, value: String| {
        labels.insert(format!("org.opencontainers.image.{name}"), value);
    };
    set("title", image.title.to_owned());
    set("version", origin.version.to_owned());
    set("created", origin.created()?);
    set("licenses", licence.to_owned());
    if let Some(revision) = &origin.revision {
        set("revision", revision.clone());
    }
    Ok(labels)
}

struct Maker<'a> {
    layout: Layout,
    labels: BTreeMap<String, String>,
    origin: &'a Origin,
}

impl Maker<'_> {
    /// One manifest and no index: of an index Istio and Envoy Gateway take the image for linux/amd64, on
    /// every machine, and their `sha256` is then not the digest that a registry shows for the tag. The
    /// platform is the one that an image built by `docker build` on such a machine has; neither looks at
    /// it, and of wasi/wasm container tools say that they cannot store it.
    fn compat(&self, wasm: &[u8], licences: &Licences) -> Result<Value> {
        let [ours, others] = licences.entries();
        let layer = layer(&[ours, others, ("plugin.wasm", Entry::File(wasm, 0o644))])?;
        let config = self.config(Platform::Amd64, &layer, json!({}))?;
        let mut annotations = self.labels.clone();
        annotations.insert("module.wasm.image/variant".to_owned(), "compat".to_owned());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.layout.add_json(CONFIG, &config)?,
            "layers": [self.layout.add(LAYER, &layer.gzip)?],
            "annotations": annotations,
        });
        self.layout.add_json(MANIFEST, &manifest)
    }

    /// Two layers, of which the hosts read the second. The first is the manifest's configuration too,
    /// whose media type then says what the artifact is, to registries that know no `artifactType` as well.
    fn artifact(&self, wasm: &[u8], image: &Image) -> Result<Value> {
        let runtime = json!({
            "type": "envoy_proxy",
            "abiVersions": ["0.2.1"],
            "config": {"root_ids": []},
        });
        let title = |descriptor: &Value, name: &str| {
            let mut descriptor = descriptor.clone();
            descriptor["annotations"] = json!({"org.opencontainers.image.title": name});
            descriptor
        };
        let config = self.layout.add_json(WASM_CONFIG, &runtime)?;
        let content = self.layout.add(WASM_CONTENT, wasm)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [title(&config, "runtime-config.json"), title(&content, image.title)],
            "annotations": self.labels,
        });
        self.layout.add_json(MANIFEST, &manifest)
    }

    fn module(&self, native: &[Native], licences: &Licences) -> Result<Value> {
        let versioned = versioned_module(self.origin);
        let mut manifests = Vec::new();
        for Native { platform, module, copier } in native {
            let [ours, others] = licences.entries();
            let layer = layer(&[
                ours,
                others,
                ("bin/", Entry::Folder),
                ("bin/cp", Entry::File(copier, 0o755)),
                (&versioned, Entry::File(module, 0o644)),
                ("libpintle.so", Entry::Link(&versioned)),
            ])?;
            let run = json!({
                "User": NOBODY,
                "Env": ["PATH=/bin"],
                "Entrypoint": ["/bin/cp"],
                "WorkingDir": "/",
            });
            let config = self.config(*platform, &layer, run)?;
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.layout.add_json(CONFIG, &config)?,
                "layers": [self.layout.add(LAYER, &layer.gzip)?],
                "annotations": self.labels,
            });
            let mut descriptor = self.layout.add_json(MANIFEST, &manifest)?;
            descriptor["platform"] =
                json!({"os": "linux", "architecture": platform.architecture()});
            manifests.push(descriptor);
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": manifests,
            "annotations": self.labels,
        });
        self.layout.add_json(INDEX, &index)
    }

    fn config(&self, platform: Platform, layer: &Layer, mut run: Value) -> Result<Value> {
        run["Labels"] = json!(self.labels);
        let created = self.origin.created()?;
        Ok(json!({
            "created": created,
            "architecture": platform.architecture(),
            "os": "linux",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": created, "created_by": "cargo xtask package"}],
        }))
    }
}
