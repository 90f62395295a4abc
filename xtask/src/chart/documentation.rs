//! The values files that `docs/helm.md` has: what users copy renders.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::helm::Helm;
use super::settings::DOCUMENT;
use crate::manifests::Definitions;

pub(super) const NAME: &str = "the values in docs/helm.md render";

/// Renders each block that begins with a `kind`, which the other ones do not.
pub(super) async fn run(root: &Path, helm: &Helm, definitions: &Definitions) -> Result<()> {
    let text = std::fs::read_to_string(root.join(DOCUMENT))
        .with_context(|| format!("reading {DOCUMENT}"))?;
    let blocks = blocks(&text);
    ensure!(blocks.len() >= 2, "{} values files in {DOCUMENT}", blocks.len());
    for (number, block) in blocks.into_iter().enumerate() {
        let file = helm.values(&format!("documentation-{number}"), block)?;
        let text = helm.template(&file, &[]).await.with_context(|| block.to_owned())?;
        definitions.check(&text).with_context(|| block.to_owned())?;
    }
    Ok(())
}

fn blocks(text: &str) -> Vec<&str> {
    let blocks = text.split("\n```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().unwrap_or_default());
    blocks.filter(|block| block.starts_with("kind: ")).collect()
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn values_files_in_a_document() {
        let text =
            "# T\n```yaml\nkind: A\nb: c\n```\n\n```yaml\npolicies: {}\n```\n```sh\nkind: D\n```\n";
        assert_eq!(blocks(text), ["kind: A\nb: c"]);
    }
}
