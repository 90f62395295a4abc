{{/* What the schema of the values cannot say: refuses what would not work, or would let requests pass unchecked. */}}
{{- define "pintle.check" -}}
{{- $at := .where -}}
{{- if not .config -}}
{{- fail (printf "%sconfig is not set: it says what Pintle is to do (docs/configuration.md)" $at) -}}
{{- end -}}
{{- if and .matchLabels .targetRefs -}}
{{- fail (printf "%sselector and targetRefs exclude each other: set one of them" $at) -}}
{{- end -}}
{{- if and (eq .failStrategy "FAIL_OPEN") (not .allowFailOpen) -}}
{{- fail (printf "%sfailStrategy FAIL_OPEN lets every request pass unchecked after one crash (docs/failure.md): take FAIL_RELOAD, or set allowFailOpen: true as well" $at) -}}
{{- end -}}
{{- if eq .artefact "module" -}}
{{- include "pintle.check.module" . -}}
{{- else -}}
{{- include "pintle.check.wasm" . -}}
{{- end -}}
{{- if eq .kind "EnvoyFilter" -}}
{{- include "pintle.check.envoyfilter" . -}}
{{- else if eq .kind "EnvoyExtensionPolicy" -}}
{{- include "pintle.check.envoygateway" . -}}
{{- else -}}
{{- include "pintle.check.match" . -}}
{{- end -}}
{{- include "pintle.check.kinds" . -}}
{{- end -}}

{{- define "pintle.check.module" -}}
{{- if not (has .kind (list "EnvoyFilter" "EnvoyExtensionPolicy")) -}}
{{- fail (printf "%skind %s runs wasm alone: artefact module needs kind EnvoyFilter or EnvoyExtensionPolicy" .where .kind) -}}
{{- end -}}
{{- if and (eq .kind "EnvoyFilter") (not .module.path) -}}
{{- fail (printf "%sartefact module needs module.path: where libpintle.so is in the proxy's container" .where) -}}
{{- end -}}
{{- if .env -}}
{{- fail (printf "%senv is that of a wasm VM: artefact module has none" .where) -}}
{{- end -}}
{{- end -}}

{{- define "pintle.check.wasm" -}}
{{- $at := .where -}}
{{- $content := hasKey .config "targetURLPrefixes" -}}
{{- range .config.filters -}}
{{- $content = or $content (hasKey . "problem_json") -}}
{{- end -}}
{{- if and $content (eq .artefact "wasm-headers") -}}
{{- fail (printf "%sproblem_json needs the content of responses, which pintle-headers.wasm does not see: set artefact: wasm" $at) -}}
{{- end -}}
{{- if not .url -}}
{{- fail (printf "%simage.registry is not set: it is where you have pushed the image (or set image.url)" $at) -}}
{{- end -}}
{{- if and .image.url (or .image.registry .image.tag) -}}
{{- fail (printf "%simage.url is the whole URL: set it, or image.registry and image.tag" $at) -}}
{{- end -}}
{{- if .staleDigest -}}
{{- fail (printf "%simage.sha256 is the digest of another image: give this policy an image.sha256 of its own" $at) -}}
{{- end -}}
{{- if .staleTag -}}
{{- fail (printf "%simage.tag and image.url name the file of another artefact: give this policy one of its own" $at) -}}
{{- end -}}
{{- if .looseDigest -}}
{{- fail (printf "%simage.sha256 is the digest of one image: name that beside it, in image.tag or image.url. Another version of the chart has another tag, and the old digest would deny all" $at) -}}
{{- end -}}
{{- if and .image.sha256 (hasPrefix "file://" .url) -}}
{{- fail (printf "%simage.sha256 is not compared with a file of the proxy (file://): leave it out" $at) -}}
{{- end -}}
{{- if and (not .image.sha256) (hasPrefix "http://" .url) -}}
{{- fail (printf "%simage.url http:// is code that anybody on the way can replace: take https:// or oci://, or set image.sha256" $at) -}}
{{- end -}}
{{- range .env -}}
{{- if and (eq (.valueFrom | default "INLINE") "HOST") (hasKey . "value") -}}
{{- fail (printf "%senv %s has its value from the host, and a value beside it" $at .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of WasmPlugin and TrafficExtension. To Istio a gateway is a CLIENT, and a waypoint a SERVER on no port. */}}
{{- define "pintle.check.match" -}}
{{- if and .match .targetRefs -}}
{{- fail (printf "%smatch is for sidecars: what it names may never match on a gateway or a waypoint, and requests would pass unchecked. Leave it out beside targetRefs" .where) -}}
{{- end -}}
{{- range .match -}}
{{- if and $.gateway (or .ports (eq (.mode | default "") "SERVER")) -}}
{{- fail (printf "%smatch: mode SERVER and ports never match on a gateway, and requests would pass unchecked. Leave match out, or set match: []" $.where) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pintle.check.envoyfilter" -}}
{{- if .match -}}
{{- fail (printf "%skind EnvoyFilter has no match: set envoyFilter.context" .where) -}}
{{- end -}}
{{- if not .envoyFilter.context -}}
{{- fail (printf "%senvoyFilter.context is not set: GATEWAY for gateways, SIDECAR_INBOUND for what comes to other workloads. With the wrong one requests pass unchecked" .where) -}}
{{- end -}}
{{- if and (or .targetRefs .gateway) (hasPrefix "SIDECAR" .envoyFilter.context) -}}
{{- fail (printf "%sa gateway has nothing of %s, and requests would pass unchecked: set envoyFilter.context: GATEWAY" .where .envoyFilter.context) -}}
{{- end -}}
{{- if and (has .phase (list "AUTHZ" "STATS")) (not .envoyFilter.insertBefore) -}}
{{- fail (printf "%skind EnvoyFilter knows no phase %s: name the filter to stand before in envoyFilter.insertBefore" .where .phase) -}}
{{- end -}}
{{- if and (ne .artefact "module") .image.pullSecret -}}
{{- fail (printf "%simage.pullSecret is not looked up for an EnvoyFilter: use kind WasmPlugin or TrafficExtension, or a registry that takes no secret" .where) -}}
{{- end -}}
{{- end -}}

{{- define "pintle.check.envoygateway" -}}
{{- $at := .where -}}
{{- if .matchLabels -}}
{{- fail (printf "%skind EnvoyExtensionPolicy has no selector: set targetRefs" $at) -}}
{{- end -}}
{{- if not .targetRefs -}}
{{- fail (printf "%skind EnvoyExtensionPolicy needs targetRefs: a Gateway or routes" $at) -}}
{{- end -}}
{{- if or .phase .priority -}}
{{- fail (printf "%skind EnvoyExtensionPolicy has neither phase nor priority: the EnvoyProxy's filterOrder places filters" $at) -}}
{{- end -}}
{{- if .match -}}
{{- fail (printf "%skind EnvoyExtensionPolicy has no match: set targetRefs" $at) -}}
{{- end -}}
{{- if hasPrefix "file://" (.url | default "") -}}
{{- fail (printf "%simage.url file:// is in the proxy's container, and with Envoy Gateway the controller fetches it: use oci:// or https://" $at) -}}
{{- end -}}
{{- if and .image.pullSecret .url (not (hasPrefix "oci://" .url)) -}}
{{- fail (printf "%simage.pullSecret is for images: %s is none" $at .url) -}}
{{- end -}}
{{- range .env -}}
{{- if ne (.valueFrom | default "INLINE") "HOST" -}}
{{- fail (printf "%senv %s: kind EnvoyExtensionPolicy takes values from the host alone (valueFrom: HOST)" $at .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What can be a target of what. */}}
{{- define "pintle.check.kinds" -}}
{{- $at := .where -}}
{{- $kind := .kind -}}
{{- $kinds := list "Gateway" "GatewayClass" "Service" "ServiceEntry" -}}
{{- if eq $kind "EnvoyFilter" -}}
{{- $kinds = list "Gateway" -}}
{{- else if eq $kind "EnvoyExtensionPolicy" -}}
{{- $kinds = list "Gateway" "ListenerSet" "HTTPRoute" "GRPCRoute" -}}
{{- end -}}
{{- if and .mergeType (ne $kind "EnvoyExtensionPolicy") -}}
{{- fail (printf "%skind %s has no mergeType: it is Envoy Gateway's" $at $kind) -}}
{{- end -}}
{{- range .targetRefs -}}
{{- if not (has .kind $kinds) -}}
{{- fail (printf "%stargetRefs: kind %s takes %s, and no %s" $at $kind (join ", " $kinds) .kind) -}}
{{- end -}}
{{- if and $.mergeType (not (hasSuffix "Route" .kind)) -}}
{{- fail (printf "%smergeType is for policies of routes, and there is a %s in targetRefs" $at .kind) -}}
{{- end -}}
{{- if and (eq .kind "GatewayClass") (not (and $.namespaceGiven (eq .name "istio-waypoint"))) -}}
{{- fail (printf "%stargetRefs: Istio knows one GatewayClass, istio-waypoint, and heeds it in its root namespace alone: set namespace to that, such as istio-system" $at) -}}
{{- end -}}
{{- if and (hasKey . "sectionName") (ne $kind "EnvoyExtensionPolicy") -}}
{{- fail (printf "%stargetRefs: kind %s takes no sectionName" $at $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Envoy Gateway takes one EnvoyExtensionPolicy for a target, and leaves the younger ones out. */}}
{{- define "pintle.check.targets" -}}
{{- if eq .policy.kind "EnvoyExtensionPolicy" -}}
{{- $policy := .policy -}}
{{- $targets := .targets -}}
{{- range $ref := $policy.targetRefs -}}
{{- $target := printf "%s %s/%s %s" $ref.kind $policy.namespace $ref.name (get $ref "sectionName") | trim -}}
{{- if hasKey $targets $target -}}
{{- fail (printf "%s%s has a policy already (%s), and Envoy Gateway takes one for each target: put all filters into one config" $policy.where $target (get $targets $target)) -}}
{{- end -}}
{{- $_ := set $targets $target $policy.name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "pintle.check.envoyproxy" -}}
{{- $modules := eq .Values.artefact "module" -}}
{{- range .Values.policies -}}
{{- $modules = or $modules (eq (get (. | default dict) "artefact") "module") -}}
{{- end -}}
{{- if or (ne .Values.kind "EnvoyExtensionPolicy") (not $modules) -}}
{{- fail "envoyProxy registers the module with Envoy Gateway: it needs kind EnvoyExtensionPolicy and artefact module" -}}
{{- end -}}
{{- if not (.Values.module | default dict).path -}}
{{- fail "envoyProxy needs module.path: where libpintle.so is in the proxy's container" -}}
{{- end -}}
{{- end -}}
