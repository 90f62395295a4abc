{{- define "pintle.EnvoyFilter" -}}
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
{{ include "pintle.metadata" . }}
spec:
  {{- with .matchLabels }}
  workloadSelector:
    labels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
  {{- with .targetRefs }}
  targetRefs:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- /* Patches of a lesser priority come first. So before a filter the greater one is to be the lesser; as the first of
         all, where the last patch wins, it is not. */}}
  {{- $before := include "pintle.envoyfilter.before" . }}
  {{- if .priority }}
  priority: {{ ternary (sub 0 .priority) .priority (ne $before "") }}
  {{- end }}
  configPatches:
  {{- if ne .artefact "module" }}
  - applyTo: EXTENSION_CONFIG
    match:
      context: {{ .envoyFilter.context }}
    patch:
      operation: ADD
      value:
        name: {{ .id | quote }}
        typed_config:
          # The form that every Istio takes, the first ones with ECDS too.
          "@type": type.googleapis.com/udpa.type.v1.TypedStruct
          type_url: type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
          value:
            config:
              name: {{ .name | quote }}
              {{- if eq .failStrategy "FAIL_RELOAD" "FAIL_OPEN" }}
              failure_policy: {{ .failStrategy }}
              {{- end }}
              vm_config:
                {{- include "pintle.envoyfilter.vm" . | nindent 16 }}
              configuration:
                {{- include "pintle.document" . | nindent 16 }}
  {{- end }}
  - applyTo: HTTP_FILTER
    match:
      context: {{ .envoyFilter.context }}
      listener:
        filterChain:
          filter:
            name: envoy.filters.network.http_connection_manager
            {{- with $before }}
            subFilter:
              name: {{ . | quote }}
            {{- end }}
    patch:
      operation: {{ ternary "INSERT_BEFORE" "INSERT_FIRST" (ne $before "") }}
      value:
        name: {{ .id | quote }}
        {{- if eq .artefact "module" }}
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
          dynamic_module_config:
            module:
              local:
                filename: {{ .module.path | quote }}
            do_not_close: true
            metrics_namespace: pintle
          filter_name: pintle
          filter_config:
            {{- include "pintle.document" . | nindent 12 }}
        {{- else }}
        config_discovery:
          config_source:
            ads: {}
            resource_api_version: V3
            # No request passes before the module is there.
            initial_fetch_timeout: 0s
          type_urls:
          - type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
          # What Istio's agent puts in its place where it cannot be fetched: deny all.
          - type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
        {{- end }}
{{- end -}}

{{/* The filter that Pintle stands before; empty: it is the first of all. */}}
{{- define "pintle.envoyfilter.before" -}}
{{- if .envoyFilter.insertBefore -}}
{{- .envoyFilter.insertBefore -}}
{{- else if eq .phase "UNSPECIFIED_PHASE" -}}
envoy.filters.http.router
{{- end -}}
{{- end -}}

{{/* The VM: its code, which Istio's agent fetches, and its environment. */}}
{{- define "pintle.envoyfilter.vm" -}}
{{- with .envoyFilter.vmId -}}
vm_id: {{ . | quote }}
{{ end -}}
runtime: envoy.wasm.runtime.v8
code:
  {{- if hasPrefix "file://" .url }}
  local:
    filename: {{ .url | trimPrefix "file://" | quote }}
  {{- else }}
  remote:
    http_uri:
      uri: {{ .url | quote }}
      # The agent asks no cluster.
      cluster: _
      timeout: 30s
    {{- with .image.sha256 }}
    sha256: {{ . | quote }}
    {{- end }}
  {{- end }}
{{- $inline := dict }}
{{- $host := list }}
{{- range .env }}
{{- if eq (.valueFrom | default "INLINE") "HOST" }}
{{- $host = append $host .name }}
{{- else }}
{{- $_ := set $inline .name (.value | default "") }}
{{- end }}
{{- end }}
{{- /* The agent reads this one, and takes it out. */}}
{{- with .image.pullPolicy }}
{{- $_ := set $inline "ISTIO_META_WASM_IMAGE_PULL_POLICY" . }}
{{- end }}
{{- if or $inline $host }}
environment_variables:
  {{- with $inline }}
  key_values:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $host }}
  host_env_keys:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}
