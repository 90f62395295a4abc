//! The corpus on a real Envoy, through both artefacts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Error, Result};
use pintle_core::testing::corpus::{Case, Engine, Mismatch, Plan, Refusal, load_dir, refusals};
use tokio::task::JoinSet;

use crate::artefact::Artefact;
use crate::bootstrap::{self, Listener};
use crate::cargo::Workspace;
use crate::clusters;
use crate::envoy::Envoy;
use crate::mesh::{Mesh, Setup};
use crate::suite::{Ground, Tally};
use crate::trial::Trial;

/// The keys of values that the shipped filters leave; the corpus may name more.
const NOTES: [&str; 1] = ["user"];

/// Envoys side by side for the cases that wait for a tick: they idle.
const WAITING_ROOMS: usize = 8;

/// Runs every case on every artefact that this Envoy can load.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let file = |artefact: Artefact| (artefact, artefact.file(&ground.workspace));
    on(ground, envoy, envoy.artefacts().into_iter().map(file).collect()).await
}

/// Runs every case on these files.
pub(crate) async fn on(
    ground: &Ground,
    envoy: &Envoy,
    files: BTreeMap<Artefact, PathBuf>,
) -> Result<Tally> {
    let all = load_dir(ground.workspace.root.join("core/testdata")).map_err(Error::msg)?;
    let cases: Vec<&Case> = all.iter().filter(|case| ground.wants(&case.title())).collect();
    let mut runs = Runs { ground, envoy, files, cases, outcomes: BTreeMap::new() };
    runs.exchanges().await?;
    runs.refusals().await?;
    Ok(runs.report())
}

struct Runs<'a> {
    ground: &'a Ground,
    envoy: &'a Envoy,
    files: BTreeMap<Artefact, PathBuf>,
    cases: Vec<&'a Case>,
    /// What each case came to, by place in `cases`; no line: it passed.
    outcomes: BTreeMap<(usize, Artefact), Vec<String>>,
}

impl<'a> Runs<'a> {
    /// Cases with their place, each with each artefact that it is to run on.
    fn pairs(&self, wanted: impl Fn(&Plan) -> bool) -> Vec<(usize, &'a Case, Artefact)> {
        let cases = self.cases.iter().enumerate().filter(|(_, case)| wanted(&case.plan));
        cases
            .flat_map(|(place, &case)| {
                self.files.keys().map(move |&artefact| (place, case, artefact))
            })
            .filter(|(_, case, artefact)| case.engines.contains(&artefact.engine()))
            .collect()
    }

    /// Each exchange on each artefact. Those of one configuration share a listener.
    fn trials(&self) -> Vec<Trial> {
        let mut listeners = BTreeMap::<(Artefact, &str), Listener>::new();
        let pairs = self.pairs(|plan| matches!(plan, Plan::Exchange(_)));
        let trial = |(place, case, artefact): (usize, &'a Case, Artefact)| {
            let name = format!("{}-{}", artefact.name(), listeners.len());
            let make = || self.listener(name, artefact, case);
            let listener = listeners.entry((artefact, &case.config)).or_insert_with(make).clone();
            Trial { place, case: case.clone(), artefact, listener }
        };
        pairs.into_iter().map(trial).collect()
    }

    fn listener(&self, name: String, artefact: Artefact, case: &Case) -> Listener {
        Listener::new(name, vec![bootstrap::filter(artefact, &self.files[&artefact], &case.config)])
    }

    /// Keys of values that any case expects.
    fn notes(&self) -> Vec<String> {
        let mut notes: BTreeSet<String> = NOTES.map(String::from).into();
        for case in &self.cases {
            if let Plan::Exchange(exchange) = &case.plan {
                notes.extend(exchange.expect.notes.keys().cloned());
            }
        }
        notes.into_iter().collect()
    }

    /// Clusters that any case names.
    fn clusters(&self) -> Vec<String> {
        let exchanges = self.cases.iter().filter(|case| matches!(case.plan, Plan::Exchange(_)));
        let names: BTreeSet<String> =
            exchanges.flat_map(|case| clusters::named_in(&case.config)).collect();
        names.into_iter().collect()
    }

    async fn exchanges(&mut self) -> Result<()> {
        let (mut waiting, ordinary): (Vec<_>, Vec<_>) =
            self.trials().into_iter().partition(Trial::waits);
        let setup = Setup { notes: self.notes(), clusters: self.clusters(), ..Setup::default() };
        let mut rooms = JoinSet::new();
        let mut enter = |label: String, trials: Vec<Trial>| {
            let (ground, envoy) = (self.ground.workspace.clone(), self.envoy.clone());
            let setup = setup.clone();
            rooms.spawn(async move {
                let room = Room { label: &label, setup, trials };
                room.run(&ground, &envoy).await.with_context(|| label.clone())
            });
        };
        enter("corpus".to_owned(), ordinary);
        // Cases of one configuration stay together: fewer listeners.
        waiting.sort_by(|a, b| a.case.config.cmp(&b.case.config));
        let size = waiting.len().div_ceil(WAITING_ROOMS).max(1);
        for (number, trials) in waiting.chunks(size).enumerate() {
            enter(format!("corpus-counters-{number}"), trials.to_vec());
        }
        while let Some(room) = rooms.join_next().await {
            for (place, artefact, outcome) in room.context("a task of the corpus")?? {
                self.note(place, artefact, outcome);
            }
        }
        Ok(())
    }

    /// Configurations that must be refused, each as an update of a running Envoy.
    async fn refusals(&mut self) -> Result<()> {
        let on_envoy = |plan: &Plan| matches!(plan, Plan::Refusal(Refusal { on_envoy: true, .. }));
        let pairs = self.pairs(on_envoy);
        if pairs.is_empty() {
            return Ok(());
        }
        let workspace = &self.ground.workspace;
        let plain = Listener::plain("plain");
        let listeners = std::slice::from_ref(&plain);
        let mut mesh =
            Mesh::start(workspace, self.envoy, "corpus-refusals", listeners, &[]).await?;
        for (place, case, artefact) in pairs {
            let name = format!("{}-{place}", artefact.name());
            let refused = self.listener(name, artefact, case);
            let update = mesh.update(&[plain.clone(), refused]).await;
            let outcome = update
                .map(|update| refusals(case, (!update.accepted).then_some(update.log.as_str())));
            self.note(place, artefact, outcome);
            mesh.alive()?;
        }
        Ok(())
    }

    fn note(&mut self, place: usize, artefact: Artefact, outcome: Result<Vec<Mismatch>>) {
        let lines = match outcome {
            Ok(mismatches) => mismatches.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("{error:#}")],
        };
        self.outcomes.insert((place, artefact), lines);
    }

    fn report(self) -> Tally {
        let mut tally = Tally::default();
        for (place, case) in self.cases.iter().enumerate() {
            let title = case.title();
            let mut ran = Vec::new();
            for artefact in Artefact::ALL {
                match self.outcomes.get(&(place, artefact)).map(Vec::as_slice) {
                    Some([]) => {
                        ran.push(artefact.name());
                        tally.pass(artefact.name());
                    }
                    Some(lines) => {
                        tally.fail(format!("{title} ({})", artefact.name()), lines.join("\n"));
                    }
                    None => {}
                }
            }
            if !ran.is_empty() {
                println!("ok     {title} ({})", ran.join(", "));
            }
        }
        let of = |engine| self.cases.iter().filter(|case| case.engines.contains(&engine)).count();
        println!(
            "{} cases: memory {}, fakes {} and {}, all in the crates' own tests; passed here: {}",
            self.cases.len(),
            of(Engine::Memory),
            of(Engine::Wasm),
            of(Engine::Native),
            tally.places()
        );
        tally
    }
}

/// Trials that share an Envoy, one after the other: nothing in a callout says whose it is.
struct Room<'a> {
    label: &'a str,
    setup: Setup,
    trials: Vec<Trial>,
}

type Outcome = (usize, Artefact, Result<Vec<Mismatch>>);

impl Room<'_> {
    async fn run(self, workspace: &Workspace, envoy: &Envoy) -> Result<Vec<Outcome>> {
        let named = self.trials.iter().map(|trial| (&trial.listener.name, &trial.listener));
        let listeners: Vec<Listener> =
            named.collect::<BTreeMap<_, _>>().into_values().cloned().collect();
        if listeners.is_empty() {
            return Ok(Vec::new());
        }
        println!("{}: an Envoy with {} listeners", self.label, listeners.len());
        let (label, setup) = (self.label, self.setup);
        let mut mesh = Mesh::start_as(workspace, envoy, label, &listeners, setup).await?;
        let mut outcomes = Vec::new();
        for trial in &self.trials {
            outcomes.push((trial.place, trial.artefact, trial.run(&mesh).await));
            mesh.alive()?;
        }
        Ok(outcomes)
    }
}
