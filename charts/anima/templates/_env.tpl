{{/* The environment of a workload. Its own settings follow the chart's, and extraEnv comes last. */}}

{{- define "anima.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else if kindIs "slice" . -}}
{{- join "," . }}
{{- else if kindIs "map" . -}}
{{- toJson . }}
{{- else -}}
{{- toString . }}
{{- end }}
{{- end }}

{{- define "anima.env" -}}
{{- $root := .root }}{{- $name := .name }}{{- $w := .w }}
{{- $prefix := printf "ANIMA_%s_" (upper $name) -}}
- name: {{ $prefix }}LISTEN
  value: {{ printf "%s:%d" $root.Values.listenHost (int $w.port) | quote }}
- name: {{ $prefix }}METRICS_LISTEN
  value: {{ printf "%s:%d" $root.Values.listenHost (int $root.Values.monitoring.port) | quote }}
- name: {{ $prefix }}DRAIN_TIMEOUT_S
  value: {{ int $w.drain.timeoutS | quote }}
{{- with include "anima.streams" . }}
- name: {{ $prefix }}CAPACITY
  value: {{ . | quote }}
{{- end }}
- name: ANIMA_DATA_DIR
  value: /var/lib/anima
{{- if $root.Values.personas.volume }}
- name: ANIMA_PERSONAS_DIR
  value: /etc/anima/personas
{{- end }}
- name: ANIMA_LOG_FORMAT
  value: {{ $root.Values.logs.format }}
- name: ANIMA_LOG_LEVEL
  value: {{ $root.Values.logs.level }}
- name: ANIMA_REFLECTION
  value: {{ $root.Values.reflection | quote }}
- name: HOME
  value: /tmp
- name: HF_HUB_OFFLINE
  value: "1"
{{- if $root.Values.tracing.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $root.Values.tracing.otlpEndpoint | quote }}
{{- end }}
{{ include "anima.authEnv" . }}
{{- if eq $name "gateway" }}
{{ include "anima.edgeEnv" . }}
{{- end }}
{{- range $called := $w.calls }}
{{- with get $.all $called }}
- name: {{ $prefix }}{{ upper $called }}_TARGET
  value: dns:///{{ include "anima.host" (dict "root" $root "name" $called) }}:{{ int .port }}
{{- end }}
{{- end }}
{{- range $key, $value := $w.settings }}
- name: {{ $prefix }}{{ upper $key }}
  value: {{ include "anima.text" $value | quote }}
{{- end }}
{{- range $key, $secret := $w.secretFiles }}
- name: {{ $prefix }}{{ upper $key }}
  value: /etc/anima/secrets/{{ $key }}/{{ $secret.key }}
{{- end }}
{{- with $w.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What only the gateway has: its page, and the address of every stage. */}}
{{- define "anima.edgeEnv" -}}
{{- $root := .root -}}
- name: ANIMA_GATEWAY_HTTP_LISTEN
  value: {{ printf "%s:%d" $root.Values.listenHost (int $root.Values.http.port) | quote }}
- name: ANIMA_GATEWAY_HTTP_HOSTS
  value: {{ include "anima.hostNames" . | quote }}
{{- with $root.Values.http.proxies }}
- name: ANIMA_GATEWAY_HTTP_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- if $root.Values.webrtc.iceServersSecret.name }}
- name: ANIMA_GATEWAY_ICE_SERVERS
  valueFrom:
    secretKeyRef:
      name: {{ $root.Values.webrtc.iceServersSecret.name }}
      key: {{ $root.Values.webrtc.iceServersSecret.key }}
{{- end }}
{{- range $stage, $other := .all }}
{{- if ne $stage "gateway" }}
- name: ANIMA_GATEWAY_{{ upper $stage }}_TARGET
  value: dns:///{{ include "anima.host" (dict "root" $root "name" $stage) }}:{{ int $other.port }}
{{- end }}
{{- end }}
{{- end }}

{{/* Every name under which a person or a program of the cluster may open the page. */}}
{{- define "anima.hostNames" -}}
{{- $root := .root }}
{{- $full := include "anima.host" (dict "root" $root "name" "gateway") }}
{{- $short := include "anima.objectName" (dict "root" $root "name" "gateway") }}
{{- $names := list $short (printf "%s.%s" $short $root.Release.Namespace) (printf "%s.%s.svc" $short $root.Release.Namespace) $full }}
{{- if and $root.Values.ingress.enabled $root.Values.ingress.host }}
{{- $names = append $names $root.Values.ingress.host }}
{{- end }}
{{- if $root.Values.routes.enabled }}
{{- $names = concat $names $root.Values.routes.hostnames }}
{{- end }}
{{- join "," (concat $names $root.Values.http.hosts | uniq) }}
{{- end }}
