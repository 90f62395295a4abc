{{- define "pintle.EnvoyExtensionPolicy" -}}
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
{{ include "pintle.metadata" . }}
spec:
  targetRefs:
  {{- toYaml .targetRefs | nindent 2 }}
  {{- with .mergeType }}
  mergeType: {{ . }}
  {{- end }}
  {{- if eq .artefact "module" }}
  dynamicModule:
  - name: {{ .module.name | quote }}
    filterName: pintle
    config:
      {{- toYaml .config | nindent 6 }}
  {{- else }}
  wasm:
  - name: {{ .name | quote }}
    code:
      {{- include "pintle.envoygateway.code" . | nindent 6 }}
    failOpen: {{ eq .failStrategy "FAIL_OPEN" }}
    {{- with .env }}
    env:
      hostKeys:
      {{- range . }}
      - {{ .name | quote }}
      {{- end }}
    {{- end }}
    config:
      {{- toYaml .config | nindent 6 }}
  {{- end }}
{{- end -}}

{{/* Where the controller fetches the file. */}}
{{- define "pintle.envoygateway.code" -}}
{{- if hasPrefix "oci://" .url -}}
type: Image
image:
  url: {{ .url | trimPrefix "oci://" | quote }}
  {{- with .image.sha256 }}
  sha256: {{ . | quote }}
  {{- end }}
  {{- with .image.pullSecret }}
  pullSecretRef:
    name: {{ . | quote }}
  {{- end }}
{{- else -}}
type: HTTP
http:
  url: {{ .url | quote }}
  {{- with .image.sha256 }}
  sha256: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .image.pullPolicy }}
pullPolicy: {{ . }}
{{- end }}
{{- end -}}
