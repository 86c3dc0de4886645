{{/* The stem of a model's objects: a legal name; one that must be cut ends in a hash of the whole. */}}
{{- define "llm-d.model" -}}
{{- $name := .Values.sampleApplication.model.modelName -}}
{{- $stem := regexReplaceAll "[^a-z0-9]+" (lower $name) "-" | trimAll "-" -}}
{{- if gt (len $stem) 38 -}}
{{- $stem = printf "%s-%s" ($stem | trunc 31 | trimSuffix "-") (sha256sum $name | trunc 6) -}}
{{- end -}}
{{- $stem -}}
{{- end -}}

{{- define "llm-d.image" -}}
{{- with .image -}}
{{- printf "%s%s:%s" (ternary (printf "%s/" .registry) "" (not (empty .registry))) .repository (.tag | default $.tag) -}}
{{- end -}}
{{- end -}}

{{- define "llm-d.productImage" -}}
{{- include "llm-d.image" (dict "image" .Values.modelservice.image "tag" .Chart.AppVersion) -}}
{{- end -}}

{{- define "llm-d.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/part-of: llm-d
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "llm-d.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "llm-d.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The scheduler's environment: defaults, then each list over the one before, by name. */}}
{{- define "llm-d.eppEnv" -}}
{{- $env := dict -}}
{{- $order := list -}}
{{- $epp := .Values.modelservice.epp -}}
{{- range concat ($epp.defaultEnvVars | default list) ($epp.defaultEnvVarsOverride | default list) (.Values.sampleApplication.endpointPicker.env | default list) -}}
{{- if not (hasKey $env .name) }}{{- $order = append $order .name -}}{{- end -}}
{{- $entry := dict "name" .name -}}
{{- if hasKey . "valueFrom" }}{{- $_ := set $entry "valueFrom" .valueFrom -}}{{- else }}{{- $_ := set $entry "value" (toString .value) -}}{{- end -}}
{{- $_ := set $env .name $entry -}}
{{- end -}}
{{- range $order }}
- {{ toJson (get $env .) }}
{{- end -}}
{{- end -}}

{{/* Where several replicas share what they know, and with whom: those of another model on the same Valkey are others. */}}
{{- define "llm-d.shareEnv" -}}
{{- with .Values.gateway.shareSecret }}
- name: SIGNALBOX_SHARE
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: url}
- name: SIGNALBOX_SHARE_GROUP
  value: {{ printf "%s/%s" $.Release.Namespace (include "llm-d.model" $) | quote }}
{{- end }}
{{- end -}}

{{/* envoy, signalbox or class. */}}
{{- define "llm-d.gatewayKind" -}}
{{- $class := .Values.gateway.gatewayClassName -}}
{{- if has $class (list "envoy" "signalbox") -}}{{ $class }}{{- else -}}class{{- end -}}
{{- end -}}

{{/* No rights, and a root that cannot be written. */}}
{{- define "llm-d.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "llm-d.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.modelservice.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
