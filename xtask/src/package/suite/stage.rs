//! The images through a registry: pushed, pulled, and the pulled files run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::artefact::Artefact;
use crate::bootstrap::{self, Listener};
use crate::envoy::Envoy;
use crate::mesh::{Mesh, make_empty};
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;
use crate::{client, guard};

use super::super::images::{self, Content, IMAGES, Image, Wasm};
use super::super::platform::Platform;
use super::super::push::{self, Consent, Destination};
use super::super::{Made, elf};
use super::image::Pulled;
use super::registry::Registry;
use super::{istio, read};

/// Lets in who has the field, and says so on the way back.
const CONFIG: &str = r#"{"filters": [
    {"require_header": {"header": "allow", "exact": "true"}},
    {"headers": {"response": [{"set": {"name": "hello", "value": "world"}}]}}
]}"#;

/// Every image is pushed and pulled; the pulled files run.
pub(super) async fn run(
    ground: &Ground,
    envoy: &Envoy,
    folder: &Path,
    made: &Made,
    tally: &mut Tally,
) -> Result<()> {
    let workspace = &ground.workspace;
    let scratch = workspace.target.join("xtask/package");
    make_empty(&scratch)?;
    let registry = Registry::start(&scratch).await?;
    let skopeo = push::skopeo()?;
    // The tag is named: files may differ from the commit here.
    let tag = made.origin.tag();
    let destination: Destination = format!("{}/team/pintle:{tag}", registry.address).parse()?;
    push::push(&skopeo, folder, made, &destination, Consent::default()).await?;
    let stage = Stage { skopeo, registry, scratch, folder, made };
    let place = "registry";
    let mut listeners = Vec::new();
    for image in &IMAGES {
        let tag = stage.tag(image);
        tally.record(place, format!("{tag} has its digest"), stage.same_digest(image).await);
        let (Content::Compat(wasm) | Content::Artifact(wasm)) = image.content else { continue };
        let pulled = stage.pull_wasm(image, wasm).await;
        if let Ok(file) = &pulled {
            let filter = bootstrap::filter(Artefact::Wasm, file, CONFIG);
            listeners.push((Artefact::Wasm, Listener::new(image.folder, vec![filter])));
        }
        tally.record(place, format!("{tag} is what Istio takes"), pulled.map(drop));
    }
    tally.record(place, "what is there already is pushed again", stage.again(&destination).await);
    tally.record(place, "another image's tag stays, but for --replace", stage.taken().await);
    let refusing = stage.refusing().await;
    tally.record(place, "a registry that refuses artifacts gets the images", refusing);
    let docker = stage.docker_form().await;
    tally.record(place, "in Docker's format it is what Istio takes, too", docker);
    for platform in Platform::ALL {
        let pulled = stage.pull_module(platform).await;
        if let (Ok(file), Some(platform)) = (&pulled, Platform::host().filter(|p| *p == platform)) {
            let filter = bootstrap::filter(Artefact::Native, file, CONFIG);
            listeners.push((Artefact::Native, Listener::new("pintle-module", vec![filter])));
            let copied = stage.copy_out(platform).await;
            tally.record(place, "the image's own program copies the module", copied);
        }
        let what = format!("the module for linux/{} is in its image", platform.architecture());
        tally.record(place, what, pulled.map(drop));
    }
    listeners.retain(|(artefact, _)| envoy.artefacts().contains(artefact));
    let configured: Vec<_> = listeners.iter().map(|(_, listener)| listener.clone()).collect();
    let mut mesh = Mesh::start(workspace, envoy, "package", &configured, &[]).await?;
    for (artefact, listener) in &listeners {
        let what = format!("{} as it was pulled filters requests", listener.name);
        tally.record(artefact.name(), what, filters(&mesh, &listener.name).await);
    }
    mesh.alive()
}

/// A registry with the images in it, and what takes them out.
struct Stage<'a> {
    skopeo: PathBuf,
    registry: Registry,
    scratch: PathBuf,
    folder: &'a Path,
    made: &'a Made,
}

impl Stage<'_> {
    fn tag(&self, image: &Image) -> String {
        format!("{}{}", self.made.origin.tag(), image.suffix)
    }

    /// The registry has the manifest byte by byte, under the media type that it has.
    async fn same_digest(&self, image: &Image) -> Result<()> {
        let mine = self.made.images.iter().find(|written| written.image == image);
        let mine = mine.context("no such image")?;
        let there = self.registry.manifest("team/pintle", &self.tag(image)).await?;
        let manifest: Value = serde_json::from_slice(&there.bytes)?;
        ensure!(there.digest == mine.digest, "{}, not {}", there.digest, mine.digest);
        ensure!(manifest["mediaType"] == *there.media_type, "the media type {}", there.media_type);
        Ok(())
    }

    /// Pulls an image and takes out the wasm module as Istio does; the file that it is in.
    async fn pull_wasm(&self, image: &Image, wasm: Wasm) -> Result<PathBuf> {
        let to = self.scratch.join(image.folder);
        self.pull(image, &[], &format!("oci:{}:pulled", to.display())).await?;
        let pulled = Pulled::of_layout(&to)?;
        let module = istio::module(&pulled)?;
        if let Content::Compat(_) = image.content {
            self.has_licences(&pulled, &self.scratch.join(format!("root-{}", image.folder)))?;
        }
        let packed = read(&self.folder.join(images::wasm_file(wasm)))?;
        ensure!(module == packed, "it is another module");
        let file = self.scratch.join(format!("{}.wasm", image.folder));
        std::fs::write(&file, module).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// The same images under the same tags are nothing to refuse.
    async fn again(&self, destination: &Destination) -> Result<()> {
        let consent = Consent::default();
        push::push(&self.skopeo, self.folder, self.made, destination, consent).await
    }

    /// The last of the tags is another image's. Without consent none of the others is pushed either.
    async fn taken(&self) -> Result<()> {
        let last = self.made.images.last().context("no image")?;
        let to = format!("docker://{}/team/taken:edge{}", self.registry.address, last.image.suffix);
        let first = &self.made.images[0];
        let mut copy = guard::command(&self.skopeo);
        copy.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
        copy.arg(format!("oci:{}:{}", first.image.folder, first.tag)).arg(&to);
        copy.current_dir(self.folder);
        guard::succeed(copy, &format!("skopeo copy to {to}")).await?;
        let destination = format!("{}/team/taken:edge", self.registry.address).parse()?;
        let push = |replace| {
            let consent = Consent { replace, ..Consent::default() };
            push::push(&self.skopeo, self.folder, self.made, &destination, consent)
        };
        let Err(refused) = push(false).await else { bail!("it was pushed") };
        ensure!(format!("{refused:#}").contains("--replace"), "refused, but {refused:#}");
        ensure!(self.registry.manifest("team/taken", "edge").await.is_err(), "one was pushed");
        push(true).await?;
        for image in &self.made.images {
            let tag = format!("edge{}", image.image.suffix);
            let there = self.registry.manifest("team/taken", &tag).await?;
            ensure!(there.digest == image.digest, "{tag} with --replace: {}", there.digest);
        }
        Ok(())
    }

    /// A registry that knows no type but those of images, as skopeo tells it; and the same one when it has
    /// learnt them.
    async fn refusing(&self) -> Result<()> {
        let picky = self.scratch.join("picky-skopeo");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n*copy*-oci-artifact) echo 'unsupported media type' >&2; exit 1 ;;\n\
             esac\nexec {} \"$@\"\n",
            self.skopeo.display()
        );
        std::fs::write(&picky, script).context("writing a skopeo")?;
        std::fs::set_permissions(&picky, PermissionsExt::from_mode(0o755))?;
        let destination = format!("{}/team/picky:edge", self.registry.address).parse()?;
        let push =
            |skopeo| push::push(skopeo, self.folder, self.made, &destination, Consent::default());
        let Err(told) = push(&picky).await.map_err(|error| format!("{error:#}")) else {
            bail!("that artifacts are missing is not told")
        };
        let there = async |image: &Image| {
            let tag = format!("edge{}", image.suffix);
            self.registry.manifest("team/picky", &tag).await.is_ok()
        };
        for image in &IMAGES {
            let is_artifact = matches!(image.content, Content::Artifact(_));
            ensure!(there(image).await != is_artifact, "{} is there, or not", image.folder);
            let end = format!(":edge{}", image.suffix);
            let named = told.split([' ', ',', ';']).any(|word| word.ends_with(&end));
            ensure!(named == is_artifact, "of {} it is told: {told}", image.folder);
        }
        push(&self.skopeo).await.context("once more")?;
        for image in &IMAGES {
            ensure!(there(image).await, "{} is missing then", image.folder);
        }
        Ok(())
    }

    /// What tools make of the image that write Docker's format.
    async fn docker_form(&self) -> Result<()> {
        let image = &IMAGES[0];
        let to = self.scratch.join("docker");
        self.pull(image, &["--format", "v2s2"], &format!("dir:{}", to.display())).await?;
        let pulled = Pulled::of_folder(&to)?;
        ensure!(pulled.manifest["mediaType"] == istio::DOCKER_MANIFEST, "not Docker's format");
        let packed = read(&self.folder.join(images::wasm_file(Wasm::Whole)))?;
        ensure!(istio::module(&pulled)? == packed, "it is another module");
        Ok(())
    }

    /// Pulls the module's image for a platform and unpacks it; where the module is.
    async fn pull_module(&self, platform: Platform) -> Result<PathBuf> {
        let image = IMAGES.iter().find(|image| image.content == Content::Module);
        let to = self.scratch.join(format!("layout-{}", platform.architecture()));
        // The choice that a container runtime on such a machine makes.
        let options =
            [["--override-os", "linux"].as_slice(), &["--override-arch", platform.architecture()]]
                .concat();
        let place = format!("oci:{}:pulled", to.display());
        self.pull_as(image.context("no image with the module")?, &options, &[], &place).await?;
        let pulled = Pulled::of_layout(&to)?;
        let config: Value = serde_json::from_slice(&pulled.blob(&pulled.manifest["config"])?)?;
        ensure!(config["architecture"] == platform.architecture(), "it is for another platform");
        let root = self.root(platform);
        self.has_licences(&pulled, &root)?;
        let versioned = root.join(images::versioned_module(&self.made.origin));
        let packed = read(&self.folder.join(images::module_file(&self.made.origin, platform)))?;
        ensure!(read(&versioned)? == packed, "it is another module");
        let plain = root.join("libpintle.so");
        ensure!(read(&plain)? == packed, "it is another module under its plain name");
        elf::check_static(&read(&root.join("bin/cp"))?, platform)?;
        Ok(versioned)
    }

    /// Unpacks an image and looks for the licences that lie beside the files as well.
    fn has_licences(&self, pulled: &Pulled, root: &Path) -> Result<()> {
        pulled.unpack(root)?;
        for name in [images::LICENCE, images::NOTICES] {
            let file = root.join(name);
            let packed = read(&self.folder.join("files").join(name))?;
            ensure!(read(&file)? == packed, "it is another {name}");
            let mode = file.metadata().context("the licence's mode")?.permissions().mode() & 0o777;
            ensure!(mode == 0o644, "the mode of {name} is {mode:o}");
        }
        Ok(())
    }

    /// Runs what an init container of the image runs.
    async fn copy_out(&self, platform: Platform) -> Result<()> {
        let root = self.root(platform);
        let to = self.scratch.join("modules");
        make_empty(&to)?;
        for name in ["libpintle.so".to_owned(), images::versioned_module(&self.made.origin)] {
            let mut copy = guard::command(root.join("bin/cp"));
            copy.arg(root.join(&name)).arg(&to);
            guard::succeed(copy, "the image's cp").await?;
            ensure!(read(&to.join(&name))? == read(&root.join(&name))?, "{name} differs");
        }
        Ok(())
    }

    fn root(&self, platform: Platform) -> PathBuf {
        self.scratch.join(format!("root-{}", platform.architecture()))
    }

    async fn pull(&self, image: &Image, options: &[&str], to: &str) -> Result<()> {
        self.pull_as(image, &[], options, to).await
    }

    async fn pull_as(&self, image: &Image, all: &[&str], of_copy: &[&str], to: &str) -> Result<()> {
        let from = format!("docker://{}/team/pintle:{}", self.registry.address, self.tag(image));
        let mut skopeo = guard::command(&self.skopeo);
        skopeo.arg("--insecure-policy").args(all).args([
            "copy",
            "--quiet",
            "--src-tls-verify=false",
        ]);
        skopeo.args(of_copy).args([&*from, to]);
        guard::succeed(skopeo, &format!("skopeo copy from {from}")).await
    }
}

async fn filters(mesh: &Mesh, listener: &str) -> Result<()> {
    if !mesh.has(listener) {
        bail!("Envoy refused it: {}", mesh.refusal(listener).await?);
    }
    let denied = mesh.exchange(listener, &client::get("/"), Answer::default()).await?;
    ensure!(denied.reply.status == 403, "without the field: {}", denied.reply.status);
    ensure!(denied.arrivals.is_empty(), "without the field: it reached the upstream");
    let mut request = client::get("/");
    request.message.fields.push(("allow".into(), "true".into()));
    let passed = mesh.exchange(listener, &request, Answer::default()).await?;
    ensure!(passed.reply.status == 200, "with the field: {}", passed.reply.status);
    ensure!(passed.arrivals.len() == 1, "with the field: it did not reach the upstream");
    for exchange in [denied, passed] {
        ensure!(exchange.reply.field("hello") == Some(b"world"), "a response without the field");
    }
    Ok(())
}
