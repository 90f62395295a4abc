{{- define "pintle.WasmPlugin" -}}
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
{{ include "pintle.metadata" . }}
spec:
  {{- include "pintle.istio.place" . | nindent 2 }}
  {{- include "pintle.istio.wasm" . | nindent 2 }}
{{- end -}}

{{- define "pintle.TrafficExtension" -}}
apiVersion: extensions.istio.io/v1alpha1
kind: TrafficExtension
{{ include "pintle.metadata" . }}
spec:
  {{- include "pintle.istio.place" . | nindent 2 }}
  wasm:
    {{- include "pintle.istio.wasm" . | nindent 4 }}
{{- end -}}

{{/* For what, and where in the chain. */}}
{{- define "pintle.istio.place" -}}
{{- with .matchLabels -}}
selector:
  matchLabels:
    {{- toYaml . | nindent 4 }}
{{ end -}}
{{- with .targetRefs -}}
targetRefs:
{{ toYaml . }}
{{ end -}}
phase: {{ .phase | default "AUTHN" }}
priority: {{ .priority }}
{{- with .match }}
match:
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What runs. */}}
{{- define "pintle.istio.wasm" -}}
url: {{ .url | quote }}
{{- with .image.sha256 }}
sha256: {{ . | quote }}
{{- end }}
{{- with .image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .image.pullSecret }}
imagePullSecret: {{ . | quote }}
{{- end }}
failStrategy: {{ .failStrategy }}
{{- with .env }}
vmConfig:
  env:
  {{- toYaml . | nindent 2 }}
{{- end }}
pluginConfig:
  {{- toYaml .config | nindent 2 }}
{{- end -}}
