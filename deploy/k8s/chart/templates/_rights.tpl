{{/* What each service asks of the API server, and nothing else. In the namespaces of the fleets: */}}
{{- define "kubervisor.rights.controller" -}}
- { apiGroups: [""], resources: [pods], verbs: [get, list, watch, patch] }
- { apiGroups: [""], resources: [services], verbs: [get, list, watch] }
- { apiGroups: [""], resources: [events], verbs: [create, patch] }
- { apiGroups: [kubervisor.k8s.io], resources: [kubervisorservices], verbs: [get, list, watch] }
- { apiGroups: [kubervisor.k8s.io], resources: [kubervisorservices/status], verbs: [patch] }
{{- end }}

{{- define "kubervisor.rights.breaker" -}}
- { apiGroups: [""], resources: [pods], verbs: [get, list, patch] }
{{- end }}

{{- define "kubervisor.rights.activator" -}}
- { apiGroups: [""], resources: [pods], verbs: [get, list, patch] }
- { apiGroups: [""], resources: [pods/eviction], verbs: [create] }
{{- if .Values.activator.allowDelete }}
- { apiGroups: [""], resources: [pods], verbs: [delete] }
{{- end }}
{{- end }}

{{- define "kubervisor.rights.release" -}}
{{- range (.Files.Get "files/release-rights.json" | fromJson).fleets }}
- {{ toJson . }}
{{- end }}
{{- end }}

{{/* Rules bound to an account: in the whole cluster or in each of the named namespaces. `annotations` make them part of a hook. */}}
{{- define "kubervisor.grant" -}}
{{- $rules := include (printf "kubervisor.rights.%s" .component) .root }}
{{- $where := .root.Values.namespaces | default (list "") }}
{{- range $namespace := $where }}
{{- $prefix := ternary "Cluster" "" (eq $namespace "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $prefix }}Role
metadata: {{- include "kubervisor.grantMetadata" (merge (dict "namespace" $namespace) $) | nindent 2 }}
rules: {{- $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $prefix }}RoleBinding
metadata: {{- include "kubervisor.grantMetadata" (merge (dict "namespace" $namespace) $) | nindent 2 }}
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: {{ $prefix }}Role, name: {{ include "kubervisor.name" $ }} }
subjects: [{ kind: ServiceAccount, name: {{ include "kubervisor.name" $ }}, namespace: {{ $.root.Release.Namespace }} }]
{{- end }}
{{- end }}

{{- define "kubervisor.grantMetadata" -}}
name: {{ include "kubervisor.name" . }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels: {{- include "kubervisor.labels" . | nindent 2 }}
{{- with .annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
