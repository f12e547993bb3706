{{/* Configuration of the built-in NATS; `facts` is files/nats.json. */}}
{{- define "kubervisor.natsConfig" -}}
{{- $nats := .root.Values.nats }}
{{- $tls := "" }}
{{- if $nats.tls.serverSecret }}
{{- $tls = "tls { cert_file: /etc/nats-tls/tls.crt, key_file: /etc/nats-tls/tls.key, ca_file: /etc/nats-tls/ca.crt, verify: %s }" }}
{{- end -}}
server_name: $SERVER_NAME
port: 4222
http_port: 8222
{{- with $tls }}
{{ printf . (ne $nats.tls.clientSecret "" | toString) }}
{{- end }}
jetstream { store_dir: /data, max_file_store: {{ $nats.storage.size }}, max_memory_store: {{ $nats.storage.memory }} }
{{- if gt (int $nats.replicas) 1 }}
cluster {
  name: kubervisor
  port: 6222
  {{- with $tls }}
  {{ printf . "true" }}
  {{- end }}
  authorization { user: cluster, password: $PASSWORD_CLUSTER }
  routes: [{{ range $index := until (int $nats.replicas) }}{{ if $index }}, {{ end }}$ROUTE_{{ $index }}{{ end }}]
}
{{- end }}
# One user a service, who may say and hear what it must and no more.
authorization {
  users: [
    {{- range $user, $permissions := .facts.users }}
    { user: {{ $user }}, password: $PASSWORD_{{ upper $user }}, permissions: {{ toRawJson $permissions }} }
    {{- end }}
  ]
}
{{- end }}
