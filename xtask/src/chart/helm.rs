//! Helm, and the chart that it renders.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::cargo::Workspace;
use crate::mesh::make_empty;
use crate::{guard, tools, yaml};

const PACKAGE: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";

/// Where the chart is in the repository.
pub(super) const CHART: &str = "deploy/helm/pintle";

/// The name of the release, and of the namespace where a values file names none.
pub(super) const RELEASE: &str = "pintle";
pub(super) const NAMESPACE: &str = "mesh";

/// A chart that has this one as a dependency, as users write it.
const PARENT: &str = "parent";
const PARENT_CHART: &str = "apiVersion: v2
name: parent
version: 0.1.0
dependencies:
- name: pintle
  version: '*'
  condition: pintle.enabled
";

/// A copy of the chart that renders its notes too, and how.
const WITH_NOTES: &str = "pintle";
const NOTES: &str = "notes: {{ include \"pintle/templates/NOTES.txt\" . | quote }}\n";

/// The program, and the chart.
pub(super) struct Helm {
    program: PathBuf,
    chart: PathBuf,
    /// For values that a test makes up.
    folder: PathBuf,
}

impl Helm {
    /// Builds the program if it has not been built yet, which takes minutes.
    pub(super) async fn find(workspace: &Workspace) -> Result<Self> {
        let program = tools::go_program(workspace, PACKAGE).await?;
        let folder = workspace.target.join("xtask/chart");
        make_empty(&folder)?;
        let chart = workspace.root.join(CHART);
        let copy = folder.join(WITH_NOTES);
        copy_chart(&chart, &copy)?;
        let notes = copy.join("templates/notes.yaml");
        std::fs::write(&notes, NOTES).with_context(|| format!("writing {}", notes.display()))?;
        let parent = folder.join(PARENT);
        make_empty(&parent)?;
        let file = parent.join("Chart.yaml");
        std::fs::write(&file, PARENT_CHART)
            .with_context(|| format!("writing {}", file.display()))?;
        copy_chart(&chart, &parent.join("charts/pintle"))?;
        Ok(Self { program, chart, folder })
    }

    /// What `helm lint --strict` says against the chart with these values.
    pub(super) async fn lint(&self, values: &Path) -> Result<()> {
        let mut lint = self.command(&["lint", "--strict"]);
        lint.arg("--values").arg(values).arg(&self.chart);
        let output = lint.output().await.context("starting helm lint")?;
        if !output.status.success() {
            bail!("helm lint: {}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(())
    }

    /// What the chart renders with these values; as an error what helm says where it refuses them.
    pub(super) async fn template(&self, values: &Path, settings: &[&str]) -> Result<String> {
        self.render(&self.chart, values, settings).await
    }

    /// The same, of a chart that has this one as a dependency.
    pub(super) async fn parent(&self, values: &Path, settings: &[&str]) -> Result<String> {
        self.render(&self.folder.join(PARENT), values, settings).await
    }

    async fn render(&self, chart: &Path, values: &Path, settings: &[&str]) -> Result<String> {
        let mut template = self.command(&["template", RELEASE, "--namespace", NAMESPACE]);
        for setting in settings {
            template.args(["--set-json", setting]);
        }
        template.arg("--values").arg(values).arg(chart);
        let output = template.output().await.context("starting helm template")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        String::from_utf8(output.stdout).context("what helm renders is not UTF-8")
    }

    /// What `helm install` tells the user. It wants a cluster, so a copy of the chart renders it.
    pub(super) async fn notes(&self, values: &Path) -> Result<String> {
        let mut template = self.command(&["template", RELEASE, "--namespace", NAMESPACE]);
        template.args(["--show-only", "templates/notes.yaml"]);
        template.arg("--values").arg(values).arg(self.folder.join(WITH_NOTES));
        let output = template.output().await.context("starting helm template")?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout).context("the notes are not UTF-8")?;
        let documents = yaml::documents(&text)?;
        let notes = documents.first().and_then(|document| document["notes"].as_str());
        notes.map(str::to_owned).context("there are no notes")
    }

    /// A values file with this content.
    pub(super) fn values(&self, name: &str, content: &str) -> Result<PathBuf> {
        let file = self.folder.join(format!("{name}.yaml"));
        std::fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// Without the settings, plug-ins and clusters of whoever runs it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = guard::command(&self.program);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"] {
            command.env(variable, self.folder.join("home"));
        }
        for variable in ["KUBECONFIG", "HELM_NAMESPACE", "HELM_DEBUG", "HELM_KUBECONTEXT"] {
            command.env_remove(variable);
        }
        command
    }
}

fn copy_chart(from: &Path, to: &Path) -> Result<()> {
    copy_files(from, to)?;
    copy_files(&from.join("templates"), &to.join("templates"))
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    make_empty(to)?;
    let files = std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))?;
    for file in files {
        let file = file.with_context(|| format!("reading {}", from.display()))?.path();
        if let (true, Some(name)) = (file.is_file(), file.file_name()) {
            std::fs::copy(&file, to.join(name))
                .with_context(|| format!("copying {}", file.display()))?;
        }
    }
    Ok(())
}
