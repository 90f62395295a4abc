//! Someone else's crate, `examples/own-filter`: its own tests, and what it builds on a real Envoy,
//! behind TLS and beside a shipped filter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::artefact::Artefact;
use crate::bootstrap::{self, Listener};
use crate::cargo::Workspace;
use crate::client;
use crate::envoy::Envoy;
use crate::guard;
use crate::mesh::{Exchange, Mesh};
use crate::stats;
use crate::suite::{Ground, Tally};
use crate::upstream::Answer;

const MANIFEST: &str = "examples/own-filter/Cargo.toml";
const FOLDER: &str = "xtask/own-filter";
const WASM_TRIPLE: &str = "wasm32-wasip1";

/// Longer than a listener takes to come up, and a counter of the wasm module to be handed over.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// Three instances of the crate's filter, and a shipped one that sees what they did.
const CONFIG: &str = r#"{"filters": [
    {"client_identity": {"name": "must", "required": true, "when": {"path": {"prefix": "/private"}}}},
    {"client_identity": {"name": "may", "header": "x-account"}},
    {"client_identity": {"name": "watch", "header": "x-watched", "required": true, "mode": "observe",
                         "when": {"path": {"prefix": "/watched"}}}},
    {"headers": {
        "request": [{"set": {"name": "x-copy", "value": "%REQ(x-account)%"}}],
        "response": [{"set": {"name": "x-by", "value": "a shipped filter"}}]
    }}
]}"#;

/// The fields that the filters write, each of which every request brings along, forged.
const FORGED: [&str; 3] = ["x-client-identity", "x-account", "x-watched"];

const NAME: Option<&str> = Some("shop/cart");
const FORGERY: Option<&str> = Some("forged");

/// A request: who sends it, where to, and what becomes of it.
struct Case {
    name: &'static str,
    client: Client,
    path: &'static str,
    expected: Expected,
    /// Which counters grow by one.
    counters: &'static [&'static str],
}

/// Whose certificate the client shows.
#[derive(Clone, Copy)]
enum Client {
    Nobody,
    Cart,
    Stranger,
}

enum Expected {
    /// 403, and nothing at the upstream.
    Denied,
    /// The values of [`FORGED`] at the upstream.
    Upstream([Option<&'static str>; 3]),
}

const CASES: [Case; 6] = [
    Case {
        name: "a certificate says who the client is",
        client: Client::Cart,
        path: "/private",
        expected: Expected::Upstream([NAME, NAME, FORGERY]),
        counters: &["must.allowed", "may.allowed"],
    },
    Case {
        name: "no certificate where one is required",
        client: Client::Nobody,
        path: "/private",
        expected: Expected::Denied,
        counters: &["must.denied.no_client_certificate"],
    },
    Case {
        name: "a certificate that names nobody",
        client: Client::Stranger,
        path: "/private",
        expected: Expected::Denied,
        counters: &["must.denied.no_client_certificate"],
    },
    Case {
        name: "`when` keeps a filter out, and a forged field is stripped all the same",
        client: Client::Cart,
        path: "/public",
        expected: Expected::Upstream([None, NAME, FORGERY]),
        counters: &["may.allowed"],
    },
    Case {
        name: "no certificate where none is required",
        client: Client::Nobody,
        path: "/public",
        expected: Expected::Upstream([None, None, FORGERY]),
        counters: &["may.allowed"],
    },
    Case {
        name: "`mode: observe` counts and changes nothing",
        client: Client::Nobody,
        path: "/watched",
        expected: Expected::Upstream([None, None, FORGERY]),
        counters: &["may.allowed", "watch.observed"],
    },
];

/// The crate's own tests, on the host in memory.
pub(crate) async fn tests(ground: &Ground) -> Result<Tally> {
    let mut tally = Tally::default();
    let folder = ground.workspace.target.join(FOLDER);
    let mut cargo = ground.workspace.cargo();
    cargo.args(["test", "--quiet", "--manifest-path", MANIFEST]).arg("--target-dir").arg(folder);
    let result = guard::succeed(cargo, "cargo test of examples/own-filter").await;
    tally.record("memory", "the tests of examples/own-filter", result);
    Ok(tally)
}

/// Both artefacts of the crate.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let workspace = &ground.workspace;
    let artefacts = envoy.artefacts();
    let mut listeners = Vec::new();
    for &artefact in &artefacts {
        let file = build(workspace, artefact).await?;
        let filters = vec![bootstrap::filter(artefact, &file, CONFIG)];
        listeners.push(Listener::new(artefact.name(), filters));
    }
    let authority = Authority::new()?;
    let mut mesh = Mesh::start(workspace, envoy, "own-filter", &[], &[]).await?;
    let addresses = listen(&mesh, &listeners, &authority.listener()?).await?;
    let mut tally = Tally::default();
    for artefact in artefacts {
        let place = artefact.name();
        let address = *addresses.get(place).context("the listener's address")?;
        let mut grown = BTreeMap::<String, u64>::new();
        for case in CASES.iter().filter(|case| ground.wants(case.name)) {
            tally.record(place, case.name, check(&mesh, &authority, address, case).await);
            for &counter in case.counters {
                *grown.entry(counter.to_owned()).or_default() += 1;
            }
        }
        let counters = counted(&mesh, artefact, &grown).await;
        tally.record(place, "the counters of a filter have its name", counters);
        mesh.alive()?;
    }
    Ok(tally)
}

/// Builds the crate for one host, and gives the file that Envoy loads.
async fn build(workspace: &Workspace, artefact: Artefact) -> Result<PathBuf> {
    let folder = workspace.target.join(FOLDER);
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--manifest-path", MANIFEST]);
    cargo.arg("--target-dir").arg(&folder);
    match artefact {
        Artefact::Wasm => {
            cargo.args(["--target", WASM_TRIPLE]);
            guard::succeed(cargo, "cargo build of examples/own-filter for wasm").await?;
            let built = folder.join(WASM_TRIPLE).join("release/own_filter.wasm");
            let file = folder.join("own_filter.wasm");
            write_exports(&built, &file).map(|()| file)
        }
        Artefact::Native => {
            guard::succeed(cargo, "cargo build of examples/own-filter").await?;
            let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
            Ok(folder.join("release").join(format!("{prefix}own_filter{suffix}")))
        }
    }
}

/// What `pintle module` does.
fn write_exports(built: &Path, file: &Path) -> Result<()> {
    let module = std::fs::read(built).with_context(|| format!("reading {}", built.display()))?;
    let module = pintle_cli::module::write_exports(&module)?;
    std::fs::write(file, module).with_context(|| format!("writing {}", file.display()))
}

/// Gives Envoy listeners behind TLS, as a control plane would, and says where they listen.
async fn listen(
    mesh: &Mesh,
    listeners: &[Listener],
    tls: &Value,
) -> Result<BTreeMap<String, SocketAddr>> {
    let folder = mesh.log.0.parent().context("the folder of Envoy's files")?;
    let mut discovery = bootstrap::discovery(listeners, &folder.join("access.log"), &[]);
    for listener in discovery["resources"].as_array_mut().into_iter().flatten() {
        listener["filter_chains"][0]["transport_socket"] = tls.clone();
    }
    let new = folder.join("listeners.new.json");
    std::fs::write(&new, discovery.to_string())
        .and_then(|()| std::fs::rename(&new, folder.join("listeners.json")))
        .context("writing the listeners")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let addresses = mesh.admin.listeners().await?;
        if listeners.iter().all(|listener| addresses.contains_key(&listener.name)) {
            return Ok(addresses);
        }
        let (_, refused) = mesh.updates().await?;
        if refused > 0 || Instant::now() > deadline {
            bail!("Envoy does not take the listeners:\n{}", mesh.log.tail());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn check(mesh: &Mesh, authority: &Authority, server: SocketAddr, case: &Case) -> Result<()> {
    let done = exchange(mesh, authority, server, case).await?;
    let reply = &done.reply;
    ensure!(reply.field("x-by") == Some(b"a shipped filter"), "the shipped filter did not run");
    let expected = match case.expected {
        Expected::Denied => {
            ensure!(reply.status == 403, "status {}, not 403", reply.status);
            ensure!(done.arrivals.is_empty(), "it reached the upstream");
            ensure!(
                done.entry.details == "pintle_no_client_certificate",
                "details {}",
                done.entry.details
            );
            return Ok(());
        }
        Expected::Upstream(expected) => expected,
    };
    ensure!(reply.status == 200, "status {}, details {}", reply.status, done.entry.details);
    let [arrival] = done.arrivals.as_slice() else {
        bail!("{} requests at the upstream", done.arrivals.len())
    };
    let values = |name: &str| -> Vec<String> {
        let lines = arrival.seen.fields.iter().filter(|(n, _)| n == name.as_bytes());
        lines.map(|(_, value)| value.escape_ascii().to_string()).collect()
    };
    for (name, expected) in FORGED.into_iter().zip(expected) {
        let (seen, expected) = (values(name), Vec::from_iter(expected));
        ensure!(seen == expected, "{name} at the upstream: {seen:?}, not {expected:?}");
    }
    let (account, copy) = (values("x-account"), values("x-copy"));
    ensure!(copy == account, "the shipped filter saw {copy:?} for {account:?}");
    Ok(())
}

async fn exchange(
    mesh: &Mesh,
    authority: &Authority,
    server: SocketAddr,
    case: &Case,
) -> Result<Exchange> {
    let mut request = client::get(case.path);
    for name in FORGED {
        request.message.fields.push((name.into(), b"forged".into()));
    }
    let (label, request) = mesh.labelled(&request);
    mesh.upstream.expect(&label, Answer::default());
    let address = tunnel(server, authority.client(case.client)?).await?;
    let reply = client::send(address, &request).await?;
    let (arrivals, entry) = (mesh.upstream.take(&label), mesh.entry(&label).await?);
    Ok(Exchange { case: label, reply, arrivals, entry, logs: Vec::new() })
}

/// A place that takes one connection and carries it on to `server` in TLS.
async fn tunnel(server: SocketAddr, tls: TlsConnector) -> Result<SocketAddr> {
    let stream = TcpStream::connect(server).await.context("connecting")?;
    let name = ServerName::try_from("localhost").context("the server's name")?;
    let mut far = tls.connect(name, stream).await.context("the TLS handshake")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listening on loopback")?;
    let address = listener.local_addr().context("listening on loopback")?;
    tokio::spawn(async move {
        if let Ok((mut near, _)) = listener.accept().await {
            // How it ends shows in the reply.
            drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
        }
    });
    Ok(address)
}

async fn counted(mesh: &Mesh, artefact: Artefact, expected: &BTreeMap<String, u64>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut seen = stats::counters(artefact, &mesh.admin.stats(stats::FILTER).await?);
        seen.retain(|name, _| !name.starts_with("headers."));
        if seen == *expected {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{seen:?}, not {expected:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Signs the certificates of both ends.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Result<Self> {
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().context("making a key")?;
        Ok(Self(CertifiedIssuer::self_signed(params, key).context("making an authority")?))
    }

    fn issue(&self, san: SanType) -> Result<(rcgen::Certificate, KeyPair)> {
        let mut params = named("leaf");
        params.subject_alt_names.push(san);
        let key = KeyPair::generate().context("making a key")?;
        Ok((params.signed_by(&key, &self.0).context("signing a certificate")?, key))
    }

    /// The transport socket of a listener that asks for a certificate, and takes none for an answer.
    fn listener(&self) -> Result<Value> {
        let (certificate, key) = self.issue(SanType::DnsName("localhost".try_into()?))?;
        Ok(json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": false,
                "common_tls_context": {
                    "tls_certificates": [{
                        "certificate_chain": {"inline_string": certificate.pem()},
                        "private_key": {"inline_string": key.serialize_pem()},
                    }],
                    "validation_context": {"trusted_ca": {"inline_string": self.0.pem()}},
                },
            },
        }))
    }

    fn client(&self, client: Client) -> Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).context("trusting the authority")?;
        let config = ClientConfig::builder().with_root_certificates(roots);
        let uri = match client {
            Client::Nobody => {
                return Ok(TlsConnector::from(std::sync::Arc::new(config.with_no_client_auth())));
            }
            Client::Cart => "spiffe://cluster.local/ns/shop/sa/cart",
            Client::Stranger => "https://example.com/",
        };
        let (certificate, key) = self.issue(SanType::URI(uri.try_into()?))?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = config.with_client_auth_cert(vec![certificate.der().clone()], key.into());
        Ok(TlsConnector::from(std::sync::Arc::new(config.context("the client's certificate")?)))
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

#[cfg(test)]
mod tests {
    /// The first page of the library's documentation shows the example as it is.
    #[test]
    fn the_documentation_has_the_example() {
        let page = include_str!("../../docs/library.md");
        for (file, fence) in [
            (include_str!("../../examples/own-filter/src/lib.rs"), "rust"),
            (include_str!("../../examples/own-filter/Cargo.toml"), "toml"),
        ] {
            assert!(page.contains(&format!("```{fence}\n{file}```\n")), "docs/library.md: {fence}");
        }
    }

    #[test]
    fn the_example_is_short() {
        let lines = include_str!("../../examples/own-filter/src/lib.rs").lines().count();
        assert!(lines < 80, "{lines} lines");
    }
}
