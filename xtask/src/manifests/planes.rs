//! Manifests as control planes hand them to Envoy: what istiod and Envoy Gateway make of a resource.
//!
//! What they fetch, images and files, is what was built here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::patches;
use crate::artefact::{self, Artefact};
use crate::cargo::Workspace;

/// The image of all manifests. Its variants have a suffix.
pub(super) const IMAGE: &str = "registry.example.com/pintle:0.1.0";
/// Where all manifests have the native module.
pub(super) const MODULE: &str = "/opt/pintle/libpintle.so";

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const DYNAMIC_MODULE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
/// The filter of a chain that has HTTP filters.
pub(super) const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// What one proxy gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Given {
    /// HTTP filters, in Envoy's JSON.
    pub(super) filters: Vec<Value>,
    /// Members of the connection manager.
    pub(super) manager: Map<String, Value>,
    /// The artefacts that it loads.
    pub(super) artefacts: Vec<Artefact>,
}

/// What the resources of one file come to, all together. `folder` is for files that Envoy is to watch.
pub(super) fn given(workspace: &Workspace, folder: &Path, resources: &[Value]) -> Result<Given> {
    let problems = patches::problems(resources);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    let plane = Plane { workspace, folder, resources };
    let mut given = Given::default();
    for resource in resources {
        let name = resource["metadata"]["name"].as_str().unwrap_or_default();
        plane.take(resource, &mut given).with_context(|| name.to_owned())?;
    }
    Ok(given)
}

struct Plane<'r> {
    workspace: &'r Workspace,
    folder: &'r Path,
    resources: &'r [Value],
}

impl Plane<'_> {
    fn take(&self, resource: &Value, given: &mut Given) -> Result<()> {
        let spec = &resource["spec"];
        match resource["kind"].as_str().unwrap_or_default() {
            "WasmPlugin" => given.wasm(self.istio_wasm(resource, "wasmplugin", spec)?),
            "TrafficExtension" => {
                given.wasm(self.istio_wasm(resource, "trafficextension", &spec["wasm"])?);
            }
            "EnvoyFilter" => {
                for patch in elements(spec, "configPatches") {
                    self.patch(patch, given)?;
                }
            }
            "EnvoyExtensionPolicy" => {
                for wasm in elements(spec, "wasm") {
                    given.wasm(self.gateway_wasm(wasm)?);
                }
                for module in elements(spec, "dynamicModule") {
                    given.module(self.gateway_module(module)?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// As istiod does, and the agent beside the proxy, which puts a file in the place of the image.
    fn istio_wasm(&self, resource: &Value, kind: &str, wasm: &Value) -> Result<Value> {
        let metadata = &resource["metadata"];
        let name = format!("{}.{}", text(metadata, "namespace")?, text(metadata, "name")?);
        let url = text(wasm, "url")?;
        let image = url.strip_prefix("oci://").with_context(|| format!("{url} is no image"))?;
        let environment = elements(&wasm["vmConfig"], "env");
        let (host, inline): (Vec<&Value>, Vec<&Value>) =
            environment.iter().partition(|variable| variable["valueFrom"] == "HOST");
        let inline: Map<String, Value> = inline
            .into_iter()
            .map(|variable| Ok((text(variable, "name")?.to_owned(), variable["value"].clone())))
            .collect::<Result<_>>()?;
        let host: Vec<&Value> = host.into_iter().map(|variable| &variable["name"]).collect();
        let policy = match wasm["failStrategy"].as_str() {
            Some("FAIL_RELOAD") => "FAIL_RELOAD",
            Some("FAIL_OPEN") => "FAIL_OPEN",
            _ => "FAIL_CLOSED",
        };
        let mut config = json!({
            "name": name,
            "root_id": wasm["pluginName"].as_str().unwrap_or_default(),
            "failure_policy": policy,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": self.code(image)?,
                "environment_variables": {"key_values": inline, "host_env_keys": host},
            },
        });
        // An empty object is no configuration.
        if wasm["pluginConfig"].as_object().is_some_and(|config| !config.is_empty()) {
            config["configuration"] = string_value(&wasm["pluginConfig"]);
        }
        Ok(json!({
            "name": format!("extensions.istio.io/{kind}/{name}"),
            "typed_config": {"@type": WASM, "config": config},
        }))
    }

    fn gateway_wasm(&self, wasm: &Value) -> Result<Value> {
        let image = text(&wasm["code"]["image"], "url")?;
        let name = wasm["name"].as_str().unwrap_or("wasm");
        let config = json!({
            "name": name,
            "fail_open": wasm["failOpen"].as_bool().unwrap_or_default(),
            "vm_config": {
                "vm_id": name,
                "runtime": "envoy.wasm.runtime.v8",
                "code": self.code(image)?,
            },
            "configuration": string_value(&wasm["config"]),
        });
        Ok(json!({
            "name": format!("envoy.filters.http.wasm/{name}"),
            "typed_config": {"@type": WASM, "config": config},
        }))
    }

    /// A policy names a module that the operator has registered.
    fn gateway_module(&self, module: &Value) -> Result<Value> {
        let proxies = self.resources.iter().filter(|resource| resource["kind"] == "EnvoyProxy");
        let registered = proxies
            .flat_map(|proxy| elements(&proxy["spec"], "dynamicModules"))
            .find(|registered| registered["name"] == module["name"])
            .with_context(|| format!("{} is not registered", module["name"]))?;
        let path = text(&registered["source"]["local"], "path")?;
        Ok(json!({
            "name": format!("envoy.filters.http.dynamic_modules/{}", text(module, "name")?),
            "typed_config": {
                "@type": DYNAMIC_MODULE,
                "dynamic_module_config": {
                    "module": {"local": {"filename": self.module(path)?}},
                    "do_not_close": registered["doNotClose"].as_bool().unwrap_or_default(),
                    "load_globally": registered["loadGlobally"].as_bool().unwrap_or_default(),
                },
                "filter_name": module["filterName"].as_str().unwrap_or_default(),
                "filter_config": string_value(&module["config"]),
            },
        }))
    }

    /// A patch of an `EnvoyFilter`.
    fn patch(&self, patch: &Value, given: &mut Given) -> Result<()> {
        let value = &patch["patch"]["value"];
        let operation = text(&patch["patch"], "operation")?;
        let into = &patch["match"]["listener"]["filterChain"]["filter"]["name"];
        match (text(patch, "applyTo")?, operation) {
            ("HTTP_FILTER", "INSERT_FIRST") => {
                ensure!(into == MANAGER, "it goes into {into}");
                self.http_filter(value, given)
            }
            ("NETWORK_FILTER", "MERGE") => {
                ensure!(into == MANAGER && value["name"] == MANAGER, "it goes into {into}");
                let members = value["typed_config"].as_object().context("no typed_config")?;
                let members = members.iter().filter(|(name, _)| *name != "@type");
                given.manager.extend(members.map(|(name, value)| (name.clone(), value.clone())));
                Ok(())
            }
            // Comes where the filter is that asks for it.
            ("EXTENSION_CONFIG", "ADD") => Ok(()),
            (what, operation) => bail!("{operation} of {what} is not known here"),
        }
    }

    fn http_filter(&self, filter: &Value, given: &mut Given) -> Result<()> {
        let mut filter = filter.clone();
        if filter["config_discovery"].is_null() {
            let module = &mut filter["typed_config"]["dynamic_module_config"]["module"];
            let filename = &mut module["local"]["filename"];
            *filename = json!(self.module(filename.as_str().context("no file")?)?);
            given.module(filter);
            return Ok(());
        }
        // By ECDS: from a file, in place of istiod.
        let name = text(&filter, "name")?.to_owned();
        let mut config = self.extension_config(&name)?;
        // Envoy reads a TypedStruct too.
        let code = &mut config["typed_config"]["value"]["config"]["vm_config"]["code"];
        let uri = text(&code["remote"]["http_uri"], "uri")?;
        *code = self.code(uri.strip_prefix("oci://").context("no image")?)?;
        config["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        let file = self.folder.join(format!("{name}.ecds.json"));
        let discovery = json!({"version_info": "0", "resources": [config]});
        std::fs::write(&file, discovery.to_string())
            .with_context(|| format!("writing {}", file.display()))?;
        let source = &mut filter["config_discovery"]["config_source"];
        let members = source.as_object_mut().context("no config_source")?;
        ensure!(members.remove("ads").is_some(), "it does not come from istiod (ads)");
        members.insert("path_config_source".into(), json!({"path": file}));
        given.wasm(filter);
        Ok(())
    }

    fn extension_config(&self, name: &str) -> Result<Value> {
        let patches =
            self.resources.iter().flat_map(|resource| elements(&resource["spec"], "configPatches"));
        patches
            .filter(|patch| patch["applyTo"] == "EXTENSION_CONFIG")
            .map(|patch| &patch["patch"]["value"])
            .find(|value| value["name"] == name)
            .cloned()
            .with_context(|| format!("there is no EXTENSION_CONFIG {name}"))
    }

    /// The code of an image of ours.
    fn code(&self, image: &str) -> Result<Value> {
        let file: PathBuf = match image.strip_prefix(IMAGE) {
            Some("") => Artefact::Wasm.file(self.workspace),
            Some("-headers") => artefact::headers_file(self.workspace),
            _ => bail!("{image} is none of our images for wasm"),
        };
        Ok(json!({"local": {"filename": file}}))
    }

    fn module(&self, path: &str) -> Result<PathBuf> {
        ensure!(path == MODULE, "the module is at {MODULE}, not at {path}");
        Ok(Artefact::Native.file(self.workspace))
    }
}

impl Given {
    fn wasm(&mut self, filter: Value) {
        self.filters.push(filter);
        self.artefacts.push(Artefact::Wasm);
    }

    fn module(&mut self, filter: Value) {
        self.filters.push(filter);
        self.artefacts.push(Artefact::Native);
    }
}

/// JSON as text, which is how both control planes hand it on.
fn string_value(config: &Value) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": config.to_string()})
}

fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str> {
    value[field].as_str().with_context(|| format!("there is no {field}"))
}

pub(super) fn elements<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value[field].as_array().map(Vec::as_slice).unwrap_or_default()
}
