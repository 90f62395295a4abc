{{/* The name of the release's objects, or the start of it. */}}
{{- define "pintle.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of all objects. */}}
{{- define "pintle.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{/*
What one object is made of: writes into `into` what policy `own`, named `key`, has, or shares with the others. `key` is
empty where the release has no `policies`. A helper can return text alone, hence `into`.
*/}}
{{- define "pintle.resolve" -}}
{{- $root := .root -}}
{{- $values := .root.Values -}}
{{- $key := .key -}}
{{- $own := .own | default dict -}}
{{- $into := .into -}}
{{- $fullname := include "pintle.fullname" $root -}}
{{- $_ := set $into "where" (ternary "" (printf "policies.%s: " $key) (eq $key "")) -}}
{{- $_ := set $into "name" (ternary $fullname (printf "%s-%s" $fullname $key) (eq $key "")) -}}
{{- range $field := list "kind" "failStrategy" "allowFailOpen" -}}
{{- $_ := set $into $field (get $values $field) -}}
{{- end -}}
{{- $_ := set $into "module" ($values.module | default dict) -}}
{{- range $field := list "artefact" "namespace" "config" "mergeType" "phase" "priority" "match" "env" -}}
{{- $_ := set $into $field (ternary (get $own $field) (get $values $field) (hasKey $own $field)) -}}
{{- end -}}
{{- /* As a number: values files have floats. */ -}}
{{- $_ := set $into "priority" (int64 (float64 (toJson $into.priority))) -}}
{{- $_ := set $into "namespaceGiven" $into.namespace -}}
{{- $_ := set $into "namespace" ($into.namespace | default $root.Release.Namespace) -}}
{{- $_ := set $into "id" (printf "pintle.%s.%s" $into.namespace $into.name) -}}
{{- range $field := list "image" "envoyFilter" "labels" "annotations" -}}
{{- $both := deepCopy (get $values $field | default dict) -}}
{{- range $name, $value := get $own $field | default dict -}}
{{- $_ := set $both $name $value -}}
{{- end -}}
{{- $_ := set $into $field $both -}}
{{- end -}}
{{- $labels := include "pintle.labels" $root | fromYaml -}}
{{- range $name, $value := $into.labels -}}
{{- $_ := set $labels $name $value -}}
{{- end -}}
{{- $_ := set $into "labels" $labels -}}
{{- /* One of the two replaces both: they exclude each other. */ -}}
{{- $place := ternary $own $values (or (hasKey $own "selector") (hasKey $own "targetRefs")) -}}
{{- $_ := set $into "matchLabels" ((get $place "selector" | default dict).matchLabels | default dict) -}}
{{- $refs := list -}}
{{- range $ref := get $place "targetRefs" | default list -}}
{{- $ref = deepCopy $ref -}}
{{- if not (hasKey $ref "group") -}}
{{- $group := get (dict "Service" "" "ServiceEntry" "networking.istio.io") $ref.kind -}}
{{- if not (has $ref.kind (list "Service" "ServiceEntry")) -}}
{{- $group = "gateway.networking.k8s.io" -}}
{{- end -}}
{{- $_ := set $ref "group" $group -}}
{{- end -}}
{{- $refs = append $refs $ref -}}
{{- end -}}
{{- $_ := set $into "targetRefs" $refs -}}
{{- /* Whether a selector is for a gateway, as far as can be told: the labels that Istio gives to its gateways. */ -}}
{{- $named := regexMatch "gateway|ingress|egress" (get $into.matchLabels "istio") -}}
{{- $_ := set $into "gateway" (or $named (hasKey $into.matchLabels "gateway.networking.k8s.io/gateway-name")) -}}
{{- /* What is pulled. */ -}}
{{- $image := $into.image -}}
{{- $tag := $root.Chart.AppVersion | replace "+" "_" -}}
{{- if eq $into.artefact "wasm-headers" -}}
{{- $tag = printf "%s-headers" $tag -}}
{{- end -}}
{{- $url := $image.url -}}
{{- if and (not $url) $image.registry -}}
{{- $url = printf "oci://%s/%s:%s" ($image.registry | trimSuffix "/") $image.repository ($image.tag | default $tag) -}}
{{- end -}}
{{- $_ := set $into "url" $url -}}
{{- /* A digest is that of one image, and not to be had for another, nor for the tag of whatever chart comes next. */ -}}
{{- $ownImage := get $own "image" | default dict -}}
{{- $otherArtefact := ne $into.artefact $values.artefact -}}
{{- $other := $otherArtefact -}}
{{- range $field := list "registry" "repository" "tag" "url" -}}
{{- $other = or $other (hasKey $ownImage $field) -}}
{{- end -}}
{{- $pinned := ternary $ownImage ($values.image | default dict) (hasKey $ownImage "sha256") -}}
{{- $_ := set $into "staleDigest" (and $other (not (hasKey $ownImage "sha256")) $image.sha256) -}}
{{- $_ := set $into "looseDigest" (and $image.sha256 (not (or $pinned.tag $pinned.url))) -}}
{{- $_ := set $into "staleTag" (and $otherArtefact (or $image.tag $image.url) (not (or $ownImage.tag $ownImage.url))) -}}
{{- end -}}

{{/* The metadata of an object. */}}
{{- define "pintle.metadata" -}}
metadata:
  name: {{ .name | quote }}
  namespace: {{ .namespace | quote }}
  labels:
    {{- toYaml .labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The configuration as JSON in a YAML string. */}}
{{- define "pintle.document" -}}
"@type": type.googleapis.com/google.protobuf.StringValue
value: {{ toRawJson .config | quote }}
{{- end -}}
