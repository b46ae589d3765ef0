{{/*
One policy a workload. The edges are those of the mesh: the gateway calls every stage, and a stage
calls those in its `calls`. What is not listed is closed, in both directions.
*/}}

{{- define "anima.networkPolicy" -}}
{{- $root := .root }}{{- $name := .name }}{{- $w := .w }}{{- $edge := eq .name "gateway" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "anima.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- if $edge }}
    - ports:
        - port: grpc
          protocol: TCP
        - port: http
          protocol: TCP
      {{- with $root.Values.networkPolicy.gatewayFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        - podSelector:
            matchLabels:
              {{- include "anima.selector" (dict "root" $root "name" "test") | nindent 14 }}
      {{- end }}
    {{- else }}
    - ports:
        - port: grpc
          protocol: TCP
      from:
        {{- range $caller, $other := .all }}
        {{- if or (eq $caller "gateway") (has $name $other.calls) }}
        - podSelector:
            matchLabels:
              {{- include "anima.selector" (dict "root" $root "name" $caller) | nindent 14 }}
        {{- end }}
        {{- end }}
    {{- end }}
    - ports:
        - port: metrics
          protocol: TCP
      from:
        - namespaceSelector:
            {{- toYaml $root.Values.networkPolicy.monitoringNamespace | nindent 12 }}
    {{- with $w.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    {{- include "anima.dnsEgress" $root | nindent 4 }}
    {{- range $called, $other := .all }}
    {{- if and (ne $called $name) (ne $called "gateway") (or $edge (has $called $w.calls)) }}
    - ports:
        - port: {{ int $other.port }}
          protocol: TCP
      to:
        - podSelector:
            matchLabels:
              {{- include "anima.selector" (dict "root" $root "name" $called) | nindent 14 }}
    {{- end }}
    {{- end }}
    {{- if and $edge $root.Values.webrtc.enabled }}
    - ports:
        - port: 1024
          endPort: 65535
          protocol: UDP
    {{- with $root.Values.webrtc.turnPort }}
    - ports:
        - port: {{ int . }}
          protocol: UDP
        - port: {{ int . }}
          protocol: TCP
    {{- end }}
    {{- end }}
    {{- with $w.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* Names are answered by the pods of the cluster's DNS, or at an address of the node. */}}
{{- define "anima.dnsEgress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
  to:
    - namespaceSelector:
        {{- toYaml .Values.networkPolicy.dns.namespace | nindent 8 }}
      podSelector:
        {{- toYaml .Values.networkPolicy.dns.pods | nindent 8 }}
    {{- range .Values.networkPolicy.dns.addresses }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
{{- end }}
