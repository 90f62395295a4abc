//! Values that cannot work are refused, and the message says why.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::HELM;
use super::helm::{CHART, Helm};
use crate::suite::{Ground, Tally};

const TABLE: &str = include_str!("refusals.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    name: String,
    /// A file in the chart's `ci`, without `.yaml`.
    values: String,
    /// What is changed in it.
    set: Vec<String>,
    /// Parts of the message.
    says: Vec<String>,
}

/// Tries each of them.
pub(super) async fn run(ground: &Ground, helm: &Helm, tally: &mut Tally) {
    match table() {
        Ok(refusals) => {
            for refusal in refusals {
                let what = format!("refused: {}", refusal.name);
                if ground.wants(&what) {
                    tally.record(HELM, what, refused(ground, helm, &refusal).await);
                }
            }
        }
        Err(error) => tally.record(HELM, "refusals.toml", Err(error)),
    }
}

fn table() -> Result<Vec<Refusal>> {
    #[derive(Deserialize)]
    struct Table {
        refusal: Vec<Refusal>,
    }
    let Table { refusal } = toml::from_str(TABLE).context("reading refusals.toml")?;
    Ok(refusal)
}

async fn refused(ground: &Ground, helm: &Helm, refusal: &Refusal) -> Result<()> {
    let file = format!("{CHART}/ci/{}.yaml", refusal.values);
    let set: Vec<&str> = refusal.set.iter().map(String::as_str).collect();
    let rendered = helm.template(&ground.workspace.root.join(file), &set).await;
    ensure!(rendered.is_err(), "helm renders it");
    let message = rendered.err().map(|error| format!("{error:#}")).unwrap_or_default();
    for part in &refusal.says {
        ensure!(message.contains(part), "it does not say {part:?}:\n{message}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn each_of_them_changes_something_and_expects_a_reason() {
        for refusal in table().unwrap() {
            assert!(!refusal.set.is_empty() && !refusal.says.is_empty(), "{}", refusal.name);
        }
    }
}
