{{/* TLS between the gateway and the stages, and on the ports of the gateway. */}}

{{- define "anima.tlsSecret" -}}
{{- or .root.Values.tls.existingSecret (printf "%s-tls" (include "anima.objectName" .)) }}
{{- end }}

{{- define "anima.tlsEnv" -}}
- name: ANIMA_TLS_CERT_FILE
  value: /etc/anima/tls/tls.crt
- name: ANIMA_TLS_KEY_FILE
  value: /etc/anima/tls/tls.key
{{- if ne .name "gateway" }}
- name: ANIMA_TLS_CLIENT_CA_FILE
  value: /etc/anima/tls/ca.crt
{{- end }}
{{- end }}

{{- define "anima.certificate" -}}
{{- $root := .root }}{{- $host := include "anima.host" . }}{{- $short := include "anima.objectName" . -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
spec:
  secretName: {{ include "anima.tlsSecret" . }}
  issuerRef:
    name: {{ $root.Values.tls.certManager.issuer.name }}
    kind: {{ $root.Values.tls.certManager.issuer.kind }}
    group: {{ $root.Values.tls.certManager.issuer.group }}
  commonName: {{ trunc 64 $short }}
  dnsNames:
    - {{ $short }}
    - {{ $short }}.{{ $root.Release.Namespace }}
    - {{ $short }}.{{ $root.Release.Namespace }}.svc
    - {{ $host }}
    - localhost
    {{- if eq .name "gateway" }}
    {{- range $root.Values.tls.certManager.gatewayNames }}
    - {{ . | quote }}
    {{- end }}
    {{- end }}
  ipAddresses: [127.0.0.1]
  usages: [server auth, client auth]
  duration: {{ $root.Values.tls.certManager.duration }}
  renewBefore: {{ $root.Values.tls.certManager.renewBefore }}
  revisionHistoryLimit: 1
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
{{- end }}
