{{/*
Every name is fixed: so a second installation over the same pods, where two would fight for them, is refused by Helm instead of being begun.
`about` is a dict of root and component.
*/}}
{{- define "kubervisor.name" -}}
kubervisor-{{ .component }}
{{- end }}

{{- define "kubervisor.selector" -}}
app.kubernetes.io/name: kubervisor
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "kubervisor.labels" -}}
{{ include "kubervisor.selector" . }}
app.kubernetes.io/part-of: kubervisor
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "kubervisor.metadata" -}}
name: {{ include "kubervisor.name" . }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "kubervisor.labels" . | nindent 2 }}
{{- end }}

{{- define "kubervisor.image" -}}
{{- $image := .root.Values.image }}
{{- .image | default (printf "%s%s:%s" $image.prefix .component ($image.tag | default .root.Chart.AppVersion)) }}
{{- end }}

{{/* Of a pod of ours: without root, without capabilities, with nothing that it may write to. */}}
{{- define "kubervisor.podSecurity" -}}
runAsNonRoot: true
{{- with .root.Values.runAsUser }}
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "kubervisor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Where the pods of a component may run; `settings` are its values. */}}
{{- define "kubervisor.placement" -}}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .root.Values.topologySpread }}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "kubervisor.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of a pod that comes and goes: it may run where controllers may, and bears what they bear for a mesh or a policy. */}}
{{- define "kubervisor.besideControllers" -}}
{{- with .Values.controller }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubervisor.natsUrl" -}}
{{- $nats := .Values.nats }}
{{- $nats.url | default (printf "%s://kubervisor-nats.%s.svc.%s:4222" (ternary "tls" "nats" (ne $nats.tls.serverSecret "")) .Release.Namespace .Values.clusterDomain) }}
{{- end }}

{{/* The Secret of the passwords; empty where none are sent. */}}
{{- define "kubervisor.natsSecret" -}}
{{- $nats := .Values.nats }}
{{- $nats.auth.existingSecret | default (ternary "" "kubervisor-nats" (ne $nats.url "")) }}
{{- end }}

{{/* What a service of ours brings to NATS: files below /etc/kubervisor/nats, as sources of a projected volume. */}}
{{- define "kubervisor.natsFiles" -}}
{{- $nats := .root.Values.nats }}
{{- with include "kubervisor.natsSecret" .root }}
- secret: { name: {{ . }}, items: [{ key: {{ $.component }}, path: password }] }
{{- end }}
{{- with $nats.auth.credsSecret }}
- secret: { name: {{ . }}, items: [{ key: {{ $.component }}.creds, path: creds }] }
{{- end }}
{{- with $nats.tls.caSecret | default $nats.tls.serverSecret }}
- secret: { name: {{ . }}, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}
{{- with $nats.tls.clientSecret }}
- secret: { name: {{ . }}, items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }] }
{{- end }}
{{- end }}

{{- define "kubervisor.natsEnvironment" -}}
{{- $nats := .root.Values.nats }}
- { name: NATS_URL, value: {{ include "kubervisor.natsUrl" .root | quote }} }
{{- if include "kubervisor.natsSecret" .root }}
- { name: NATS_USER, value: {{ .component }} }
- { name: NATS_PASSWORD_FILE, value: /etc/kubervisor/nats/password }
{{- end }}
{{- if $nats.auth.credsSecret }}
- { name: NATS_CREDS, value: /etc/kubervisor/nats/creds }
{{- end }}
{{- if or $nats.tls.caSecret $nats.tls.serverSecret }}
- { name: NATS_CA, value: /etc/kubervisor/nats/ca.crt }
{{- end }}
{{- if $nats.tls.clientSecret }}
- { name: NATS_CERT, value: /etc/kubervisor/nats/tls.crt }
- { name: NATS_KEY, value: /etc/kubervisor/nats/tls.key }
{{- end }}
{{- end }}

{{- define "kubervisor.environment" -}}
{{- $root := .root }}{{ $values := .root.Values }}{{ $component := .component }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- { name: LOG_LEVEL, value: {{ $values.logLevel }} }
{{- if ne $component "detector" }}
{{ include "kubervisor.natsEnvironment" . }}
{{- end }}
{{- if eq $component "controller" }}
{{- with $values.namespaces }}
- { name: WATCH_NAMESPACES, value: {{ join "," . | quote }} }
{{- end }}
- { name: LEASE_NAMESPACE, value: {{ $root.Release.Namespace }} }
- { name: LEASE_NAME, value: kubervisor-controller }
- { name: LEASE_DURATION_SECONDS, value: {{ $values.controller.leaseDurationSeconds | quote }} }
- { name: INSTALL_CRD, value: {{ and $values.crd.update (empty $values.namespaces) | quote }} }
- { name: NATS_REPLICAS, value: {{ $values.nats.replicas | quote }} }
{{- else if eq $component "detector" }}
- { name: CLUSTER_DOMAIN, value: {{ $values.clusterDomain }} }
{{- with $values.detector.allow }}
- { name: DETECTOR_ALLOW, value: {{ join "," . | quote }} }
{{- end }}
{{- if include "kubervisor.sourcesSecret" $root }}
- { name: DETECTOR_SOURCES, value: /etc/kubervisor/sources/sources.yaml }
{{- end }}
{{- else }}
- { name: CONCURRENCY, value: {{ (index $values $component).concurrency | quote }} }
{{- if eq $component "breaker" }}
- { name: DETECTOR_URL, value: "http://kubervisor-detector.{{ $root.Release.Namespace }}.svc.{{ $values.clusterDomain }}:8080" }
{{- end }}
{{- end }}
{{- end }}

{{- define "kubervisor.sourcesSecret" -}}
{{- $detector := .Values.detector }}
{{- $detector.sourcesSecret | default (ternary "kubervisor-sources" "" (not (empty $detector.sources))) }}
{{- end }}
