{{/* Every object of one workload: a new stage is one entry of `stages`. */}}

{{- define "anima.stage" -}}
---
{{ include "anima.serviceAccount" . }}
---
{{ include "anima.service" . }}
---
{{ include "anima.deployment" . }}
{{- if .w.autoscaling.enabled }}
---
{{ include "anima.autoscaler" . }}
{{- end }}
{{- if include "anima.hasDisruptionBudget" . }}
---
{{ include "anima.disruptionBudget" . }}
{{- end }}
{{- if .root.Values.networkPolicy.enabled }}
---
{{ include "anima.networkPolicy" . }}
{{- end }}
{{- if and .w.storage.enabled (not .w.storage.existingClaim) }}
---
{{ include "anima.claim" . }}
{{- end }}
{{- end }}

{{- define "anima.serviceAccount" -}}
{{- $w := .w -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
  {{- with $w.serviceAccountAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/*
The Service of a stage is headless: gRPC keeps its connections, so a cluster IP would send all calls
to the pod that was chosen first.
*/}}
{{- define "anima.service" -}}
{{- $root := .root }}{{- $w := .w }}{{- $edge := eq .name "gateway" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
  {{- if and $edge $root.Values.service.annotations }}
  annotations:
    {{- toYaml $root.Values.service.annotations | nindent 4 }}
  {{- end }}
spec:
  {{- if $edge }}
  type: {{ $root.Values.service.type }}
  {{- if ne $root.Values.service.type "ClusterIP" }}
  externalTrafficPolicy: {{ $root.Values.service.externalTrafficPolicy }}
  {{- end }}
  sessionAffinity: {{ $root.Values.service.sessionAffinity }}
  {{- if eq $root.Values.service.sessionAffinity "ClientIP" }}
  sessionAffinityConfig:
    clientIP:
      timeoutSeconds: {{ int $root.Values.service.affinityTimeoutS }}
  {{- end }}
  {{- else }}
  clusterIP: None
  {{- end }}
  selector:
    {{- include "anima.selector" . | nindent 4 }}
  ports:
    - name: grpc
      protocol: TCP
      port: {{ int $w.port }}
      targetPort: grpc
      appProtocol: kubernetes.io/h2c
    {{- if $edge }}
    - name: http
      protocol: TCP
      port: {{ int $root.Values.service.httpPort }}
      targetPort: http
      appProtocol: http
    {{- end }}
{{- end }}

{{- define "anima.claim" -}}
{{- $w := .w -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes:
    {{- toYaml $w.storage.accessModes | nindent 4 }}
  {{- if $w.storage.className }}
  storageClassName: {{ $w.storage.className }}
  {{- end }}
  resources:
    requests:
      storage: {{ $w.storage.size }}
{{- end }}

{{/* None for one replica: it would block the drain of a node for ever. */}}
{{- define "anima.hasDisruptionBudget" -}}
{{- if .w.autoscaling.enabled }}
{{- if gt (int (include "anima.least" .)) 1 -}}true{{- end }}
{{- else if gt (int (include "anima.replicas" .)) 1 -}}true{{- end }}
{{- end }}

{{- define "anima.disruptionBudget" -}}
{{- $w := .w -}}
apiVersion: {{ ternary "policy/v1" "policy/v1beta1" (eq "true" (include "anima.atLeast" (dict "root" .root "version" "1.21"))) }}
kind: PodDisruptionBudget
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $w.disruption.maxUnavailable }}
  {{- if include "anima.atLeast" (dict "root" .root "version" "1.27") }}
  unhealthyPodEvictionPolicy: AlwaysAllow
  {{- end }}
  selector:
    matchLabels:
      {{- include "anima.selector" . | nindent 6 }}
{{- end }}
