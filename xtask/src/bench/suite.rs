//! Every scenario does what it says, with every subject: nothing is measured.

use std::cell::RefCell;

use anyhow::{Context, Result};

use super::Bench;
use super::cell::Cell;
use super::peers::Peers;
use super::progress::Progress;
use super::proof;
use super::proxy::{Proxy, Setup};
use super::scenario;
use super::subject::Subject;
use crate::artefact::Artefact;
use crate::envoy::Envoy;
use crate::suite::{Ground, Tally};

/// Starts each subject at each scenario and size on an Envoy of its own, and at the first size again
/// in as many copies as are measured, and has it prove itself.
pub(crate) async fn run(ground: &Ground, envoy: &Envoy) -> Result<Tally> {
    let mut tally = Tally::default();
    if envoy.artefacts().len() < Artefact::ALL.len() {
        println!("nothing to compare: it cannot load both artefacts");
        return Ok(tally);
    }
    let workspace = &ground.workspace;
    let peers = Peers::build(workspace, &Progress::start()).await?;
    peers.missing().into_iter().for_each(|what| tally.leave_out(what));
    let bench = Bench::new(workspace, envoy.clone(), peers, scenario::read_all(workspace)?)?;
    let cells = bench.scenarios.iter().flat_map(|scenario| bench.cells_of(scenario));
    let wanted = |cell: &Cell<'_>| ground.wants(&cell.to_string());
    let cells = RefCell::new(cells.filter(wanted));
    let tally = RefCell::new(tally);
    let lane = async || {
        loop {
            let cell = cells.borrow_mut().next();
            let Some(cell) = cell else { break };
            let result = works(&bench, &cell).await;
            tally.borrow_mut().record(cell.subject.id(), cell.job(), result);
        }
    };
    // They mostly wait for Envoys to start.
    tokio::join!(lane(), lane(), lane(), lane());
    Ok(tally.into_inner())
}

fn at_first_size(cell: &Cell<'_>) -> bool {
    cell.size == cell.scenario.sizes()[0]
}

async fn works(bench: &Bench, cell: &Cell<'_>) -> Result<()> {
    proves(bench, cell, 1).await?;
    match cell.scenario.copies {
        copies if copies > 1 && cell.subject != Subject::None && at_first_size(cell) => {
            proves(bench, cell, copies).await.with_context(|| format!("with {copies} copies"))
        }
        _ => Ok(()),
    }
}

async fn proves(bench: &Bench, cell: &Cell<'_>, copies: u32) -> Result<()> {
    let setup = Setup { copies, ..Setup::default() };
    let proxy = Proxy::start(bench, cell, "suite", &setup).await?;
    proof::prove(&proxy, cell).await?;
    proxy.stop().await
}
