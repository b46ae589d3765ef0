{{/*
Who may call. People and stages have tokens of their own, so that a person's token opens no stage.
With identities the callers have signed tokens, and only the gateway and the stages that call others
hold the key that signs.
*/}}

{{- define "anima.authSecret" -}}
{{- or .Values.auth.existingSecret (printf "%s-auth" (include "anima.fullname" .)) }}
{{- end }}

{{- define "anima.signs" -}}
{{- if or (eq .name "gateway") .w.calls -}}true{{- end }}
{{- end }}

{{- define "anima.authEnv" -}}
{{- $root := .root }}{{- $w := .w }}
{{- if $root.Values.auth.identities.enabled -}}
- name: ANIMA_IDENTITY_KEYS_FILE
  value: /etc/anima/identity/{{ $root.Values.auth.identities.keys.key }}
- name: ANIMA_IDENTITY_ISSUER
  value: {{ $root.Values.auth.identities.issuer | quote }}
- name: ANIMA_IDENTITY_AUDIENCE
  value: {{ $root.Values.auth.identities.audience | quote }}
{{- if include "anima.signs" . }}
- name: ANIMA_IDENTITY_SIGNING_KEY_FILE
  value: /etc/anima/signing/{{ $root.Values.auth.identities.signingKey.key }}
{{- end }}
{{- else if eq .name "gateway" -}}
- name: ANIMA_TOKEN_FILE
  value: /etc/anima/auth/{{ $root.Values.auth.tokenKey }}
- name: ANIMA_GATEWAY_STAGE_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "anima.authSecret" $root }}
      key: {{ $root.Values.auth.stageTokenKey }}
{{- else -}}
- name: ANIMA_TOKEN_FILE
  value: /etc/anima/auth/{{ $root.Values.auth.stageTokenKey }}
{{- range $called := $w.calls }}
- name: ANIMA_{{ upper $.name }}_{{ upper $called }}_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "anima.authSecret" $root }}
      key: {{ $root.Values.auth.stageTokenKey }}
{{- end }}
{{- end }}
{{- end }}

{{/* Mounts and volumes: each pod gets only the keys that it reads. */}}
{{- define "anima.authMounts" -}}
{{- if .root.Values.auth.identities.enabled -}}
- name: identity
  mountPath: /etc/anima/identity
  readOnly: true
{{- if include "anima.signs" . }}
- name: signing
  mountPath: /etc/anima/signing
  readOnly: true
{{- end }}
{{- else -}}
- name: auth
  mountPath: /etc/anima/auth
  readOnly: true
{{- end }}
{{- end }}

{{- define "anima.authVolumes" -}}
{{- $root := .root }}
{{- if $root.Values.auth.identities.enabled -}}
- name: identity
  secret:
    secretName: {{ $root.Values.auth.identities.keys.secret }}
{{- if include "anima.signs" . }}
- name: signing
  secret:
    secretName: {{ $root.Values.auth.identities.signingKey.secret }}
{{- end }}
{{- else -}}
{{- $key := ternary $root.Values.auth.tokenKey $root.Values.auth.stageTokenKey (eq .name "gateway") -}}
- name: auth
  secret:
    secretName: {{ include "anima.authSecret" $root }}
    items:
      - key: {{ $key }}
        path: {{ $key }}
{{- end }}
{{- end }}
