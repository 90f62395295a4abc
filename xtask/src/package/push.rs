//! Images to a registry, by skopeo: its logins are those of Podman and Docker (helpers included), and no
//! credential passes through here.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::{guard, tools};

use super::Made;
use super::images::Image;
use super::layout;
use super::origin::Origin;
use super::platform::Platform;

/// How long a name may be, in characters, with the registry's: the distribution project's limit.
const NAME_LENGTH: usize = 255;

/// How long a tag may be, in characters: registries take 128 (OCI distribution specification 1.1, "Pulling
/// manifests"), and the images' suffixes want room.
const TAG_LENGTH: usize = 100;

/// Where images go: a repository, and maybe a tag in the place of the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    registry: String,
    repository: String,
    tag: Option<String>,
}

/// Why text is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotADestination {
    /// It does not begin with a registry, such as `registry.example.com`, `localhost` or one with a port. An
    /// address of IPv6 is none: not every skopeo reads it.
    NoRegistry,
    /// Its path is not what repositories have as names.
    Repository,
    /// Its tag is none.
    Tag,
    /// It has a digest, or a scheme in front of it.
    NotANamedPlace,
}

impl fmt::Display for NotADestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRegistry => {
                "the registry has to be named, as in registry.example.com/team/pintle"
            }
            Self::Repository => {
                "the repository's name is of a-z and 0-9, with `/` between its parts, in which one `.`, \
                 one or two `_`, or any number of `-` stand between others, and not too long"
            }
            Self::Tag => {
                "the tag has a character other than letters, digits, `.`, `_` and `-`, begins with \
                 `.` or `-`, is empty or too long"
            }
            Self::NotANamedPlace => "what images go to has neither a scheme nor a digest",
        })
    }
}

impl std::error::Error for NotADestination {}

impl FromStr for Destination {
    type Err = NotADestination;

    /// Reads `registry[:port]/path[:tag]`, as the grammar of the distribution project has it (its package
    /// `reference`), but for the registry, which may not be left out.
    fn from_str(text: &str) -> Result<Self, NotADestination> {
        if text.contains("://") || text.contains('@') {
            return Err(NotADestination::NotANamedPlace);
        }
        let (registry, rest) = text.split_once('/').ok_or(NotADestination::NoRegistry)?;
        if !is_registry(registry) {
            return Err(NotADestination::NoRegistry);
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        let fits = registry.len() + 1 + repository.len() <= NAME_LENGTH;
        if !fits || !repository.split('/').all(is_component) {
            return Err(NotADestination::Repository);
        }
        if !tag.is_none_or(is_tag) {
            return Err(NotADestination::Tag);
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }
}

/// Names of letters, digits and `-` inside of them, between dots; maybe a port. One name without a port is
/// part of a path on somebody's default registry, `localhost` excepted.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_port = |port: &str| {
        port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    host.split('.').all(is_label)
        && port.is_none_or(is_port)
        && (host.contains('.') || port.is_some() || host == "localhost")
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut between = text.split(is_word).filter(|part| !part.is_empty());
    let is_separator =
        |part: &str| [".", "_", "__"].contains(&part) || part.bytes().all(|c| c == b'-');
    text.starts_with(is_word) && text.ends_with(is_word) && between.all(is_separator)
}

fn is_tag(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
        && text.len() <= TAG_LENGTH
        && !text.is_empty()
        && !text.starts_with(['.', '-'])
}

/// What is pushed only where somebody says so.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Consent {
    /// Pushes also to a registry without TLS, or with a certificate that nobody vouches for. One on
    /// loopback needs no such word.
    #[arg(long, requires = "push")]
    pub(crate) insecure: bool,
    /// Pushes also where a tag is another image's already, which then loses it.
    #[arg(long, requires = "push")]
    pub(crate) replace: bool,
}

/// Why the version alone is not the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVersion {
    /// Files differ from the commit, or there is none.
    NotCommitted,
    /// The module's image lacks a platform.
    NotAllPlatforms,
}

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotCommitted => {
                "only what is committed is pushed under its version, and here files differ from the \
                 commit, or there is none (git status)"
            }
            Self::NotAllPlatforms => "only the whole is pushed under its version, all platforms",
        })?;
        f.write_str("; with a tag in --push, as in team/pintle:edge, it is pushed")
    }
}

impl std::error::Error for NoVersion {}

impl Destination {
    /// The tag of the image without a suffix: the one that is named, else the version.
    pub(crate) fn tag(&self, origin: &Origin, platforms: &[Platform]) -> Result<String, NoVersion> {
        match &self.tag {
            Some(tag) => Ok(tag.clone()),
            None if !origin.is_committed() => Err(NoVersion::NotCommitted),
            None if !Platform::ALL.iter().all(|one| platforms.contains(one)) => {
                Err(NoVersion::NotAllPlatforms)
            }
            None => Ok(origin.tag()),
        }
    }

    /// Whether nobody else can listen in on the way there.
    fn is_loopback(&self) -> bool {
        let host = self.registry.split(':').next().unwrap_or_default();
        host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The program, or who has it.
pub(crate) fn skopeo() -> Result<PathBuf> {
    tools::on_path("skopeo").context(
        "--push wants skopeo on the PATH: the package of that name in Debian, Fedora, Homebrew",
    )
}

/// Pushes all images, or none where a tag is another image's. One that fails keeps none of the others back:
/// a registry may refuse an artifact and take images.
pub(crate) async fn push(
    skopeo: &Path,
    folder: &Path,
    made: &Made,
    destination: &Destination,
    consent: Consent,
) -> Result<()> {
    let Destination { registry, repository, .. } = destination;
    let platforms: Vec<_> = made.files.native.iter().map(|native| native.platform).collect();
    let tag = destination.tag(&made.origin, &platforms)?;
    let verify = !(consent.insecure || destination.is_loopback());
    let place = |image: &Image| format!("{registry}/{repository}:{tag}{}", image.suffix);
    if !consent.replace {
        for image in &made.images {
            let place = place(image.image);
            let there = digest_at(skopeo, &place, verify).await?;
            ensure!(
                there.as_ref().is_none_or(|there| *there == image.digest),
                "{place} is another image, {}, and nothing was pushed; --replace puts this one in its place",
                there.unwrap_or_default()
            );
        }
    }
    let mut failed = Vec::new();
    for image in &made.images {
        let place = place(image.image);
        let mut copy = guard::command(skopeo);
        // The policy is about what may be pulled, and not every system has one.
        copy.args(["--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests"]);
        copy.arg(format!("--dest-tls-verify={verify}"));
        // The folder's own path may have a colon in it, which parts it from the tag.
        copy.current_dir(folder).arg(format!("oci:{}:{}", image.image.folder, image.tag));
        copy.arg(format!("docker://{place}"));
        match guard::succeed(copy, &format!("skopeo copy to {place}")).await {
            Ok(()) => println!("pushed {place}@{}", image.digest),
            Err(error) => {
                println!("not pushed: {error:#}");
                failed.push(place);
            }
        }
    }
    ensure!(
        failed.is_empty(),
        "{} of {} images were pushed, and not {}; the same command tries again",
        made.images.len() - failed.len(),
        made.images.len(),
        failed.join(", ")
    );
    Ok(())
}

/// The digest of what a registry has under a tag, if it has anything.
async fn digest_at(skopeo: &Path, place: &str, verify: bool) -> Result<Option<String>> {
    let mut inspect = guard::command(skopeo);
    inspect.args(["--insecure-policy", "inspect", "--raw"]);
    inspect.arg(format!("--tls-verify={verify}")).arg(format!("docker://{place}"));
    let output = inspect.output().await.context("starting skopeo inspect")?;
    if output.status.success() {
        return Ok(Some(layout::digest(&output.stdout)));
    }
    let why = String::from_utf8_lossy(&output.stderr);
    if is_absence(&why) {
        return Ok(None);
    }
    bail!(
        "whether {place} exists cannot be told, and nothing was pushed; --replace does without: {}",
        why.trim()
    )
}

/// Whether a registry says that it has no such tag or no such repository: the codes `MANIFEST_UNKNOWN` and
/// `NAME_UNKNOWN` of the OCI distribution specification 1.1 ("Error Codes"), as skopeo words them. Harbor has
/// a code of its own, of which skopeo makes `unknown`.
fn is_absence(told: &str) -> bool {
    ["manifest unknown", "name unknown"].iter().any(|code| told.contains(code))
        || (told.contains(": unknown: ") && told.contains(" not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_tag_of_a_commit_and_of_all_platforms_only() {
        let origin = |revision: Option<&str>| Origin {
            version: "1.2.3",
            revision: revision.map(str::to_owned),
            epoch: 0,
        };
        let (plain, tagged): (Destination, Destination) =
            ("localhost/p".parse().unwrap(), "localhost/p:edge".parse().unwrap());
        let (all, one) = (&Platform::ALL, &[Platform::Arm64]);
        let committed = origin(Some("0123"));
        assert_eq!(plain.tag(&committed, all), Ok("1.2.3".to_owned()));
        assert_eq!(plain.tag(&committed, one), Err(NoVersion::NotAllPlatforms));
        assert_eq!(tagged.tag(&committed, one), Ok("edge".to_owned()));
        for revision in [None, Some("0123-dirty")] {
            assert_eq!(plain.tag(&origin(revision), all), Err(NoVersion::NotCommitted));
            assert_eq!(tagged.tag(&origin(revision), all), Ok("edge".to_owned()));
        }
    }

    #[test]
    fn absence_is_what_the_registry_says_and_no_other_failure() {
        for told in [
            "Error parsing image name: reading manifest 1 in localhost/p: manifest unknown",
            "reading manifest 1 in localhost/p: name unknown: repository name not known to registry",
            "reading manifest 1 in localhost/p: unknown: artifact p:1 not found",
        ] {
            assert!(is_absence(told), "{told}");
        }
        for told in [
            "pinging container registry localhost: connection refused",
            "reading manifest 1 in localhost/p: unauthorized: authentication required",
            "x509: certificate signed by unknown authority",
            "error getting credentials: executable file not found in $PATH",
        ] {
            assert!(!is_absence(told), "{told}");
        }
    }

    #[test]
    fn destinations() {
        let read = |text: &str| text.parse::<Destination>();
        let expected = Destination {
            registry: "registry.example.com:5000".into(),
            repository: "team/pintle".into(),
            tag: Some("1.2".into()),
        };
        assert_eq!(read("registry.example.com:5000/team/pintle:1.2"), Ok(expected));
        assert_eq!(read("localhost/pintle").unwrap().tag, None);
        for fine in [
            "registry.example.com/team/pintle",
            "Registry.Example.com:65535/a.b_c__d---e/0",
            "127.0.0.1:5000/p",
            "registry:5000/p",
        ] {
            assert!(read(fine).is_ok(), "{fine}");
        }
        let long = format!("registry.example.com/{}", "p".repeat(NAME_LENGTH));
        for (text, why) in [
            ("pintle", NotADestination::NoRegistry),
            ("team/pintle", NotADestination::NoRegistry),
            ("/pintle", NotADestination::NoRegistry),
            ("registry.example.com:0/p", NotADestination::NoRegistry),
            ("registry.example.com:65536/p", NotADestination::NoRegistry),
            ("registry.example.com:+1/p", NotADestination::NoRegistry),
            ("registry.example.com:/p", NotADestination::NoRegistry),
            ("registry..example.com/p", NotADestination::NoRegistry),
            ("-registry.example.com/p", NotADestination::NoRegistry),
            ("registry_1.example.com/p", NotADestination::NoRegistry),
            ("[::1]:5000/p", NotADestination::NoRegistry),
            ("registry.example.com/Team/pintle", NotADestination::Repository),
            ("registry.example.com/", NotADestination::Repository),
            ("registry.example.com//pintle", NotADestination::Repository),
            ("registry.example.com/-pintle", NotADestination::Repository),
            ("registry.example.com/pintle.", NotADestination::Repository),
            ("registry.example.com/team..a/pintle", NotADestination::Repository),
            ("registry.example.com/team___a/pintle", NotADestination::Repository),
            ("registry.example.com/team._a/pintle", NotADestination::Repository),
            (&long, NotADestination::Repository),
            ("registry.example.com/pintle:", NotADestination::Tag),
            ("registry.example.com/pintle:-headers", NotADestination::Tag),
            ("registry.example.com/pintle:a b", NotADestination::Tag),
            ("registry.example.com/pintle@sha256:00", NotADestination::NotANamedPlace),
            ("https://registry.example.com/pintle", NotADestination::NotANamedPlace),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_no_name_that_looks_like_it() {
        let is = |text: &str| text.parse::<Destination>().unwrap().is_loopback();
        for text in ["localhost/p", "localhost:5000/p", "127.0.0.1:5000/p", "127.9.9.9/p"] {
            assert!(is(text), "{text}");
        }
        for text in ["10.0.0.1:5000/p", "localhost.example.com/p", "127.0.0.1.example.com/p"] {
            assert!(!is(text), "{text}");
        }
    }
}
