{{/*
Autoscaling by streams. The ratio of active streams to capacity saturates at 1, so the demand, which
counts refused calls too, is a second metric: the larger result wins. The gateway counts its
conversations instead. The metrics come from files/prometheus-adapter.yaml.
*/}}

{{- define "anima.autoscaler" -}}
{{- if eq .w.autoscaling.kind "keda" }}
{{- include "anima.scaledObject" . }}
{{- else }}
{{- include "anima.horizontalPodAutoscaler" . }}
{{- end }}
{{- end }}

{{- define "anima.ratio" -}}
{{- divf .w.autoscaling.targetPercent 100 | toString }}
{{- end }}

{{- define "anima.horizontalPodAutoscaler" -}}
{{- $w := .w -}}
apiVersion: {{ ternary "autoscaling/v2" "autoscaling/v2beta2" (eq "true" (include "anima.atLeast" (dict "root" .root "version" "1.23"))) }}
kind: HorizontalPodAutoscaler
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "anima.objectName" . }}
  minReplicas: {{ include "anima.least" . }}
  maxReplicas: {{ int $w.autoscaling.max }}
  metrics:
    {{- $metrics := list "anima_stream_ratio" "anima_demand_ratio" }}
    {{- if eq .name "gateway" }}{{- $metrics = list "anima_session_ratio" }}{{- end }}
    {{- range $metrics }}
    - type: Pods
      pods:
        metric:
          name: {{ . }}
        target:
          type: AverageValue
          averageValue: {{ include "anima.ratio" $ | quote }}
    {{- end }}
  behavior:
    {{- include "anima.scalingBehaviour" . | nindent 4 }}
{{- end }}

{{- define "anima.scalingBehaviour" -}}
{{- $w := .w -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - type: Pods
      value: 4
      periodSeconds: 15
    - type: Percent
      value: 100
      periodSeconds: 15
scaleDown:
  stabilizationWindowSeconds: {{ int $w.autoscaling.scaleDownWindowS }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: {{ int $w.autoscaling.scaleDownPeriodS }}
{{- end }}

{{/* The streams of all pods that do not drain, and those that the refused calls would have been. */}}
{{- define "anima.demandQuery" -}}
{{- $own := printf "{namespace=%q,pod=~\"%s-[^-]+-[^-]+\"}" .root.Release.Namespace (include "anima.objectName" .) }}
{{- $serving := printf "unless on (namespace, pod) (anima_draining%s == 1)" $own }}
{{- if eq .name "gateway" }}
{{- printf "sum(anima_gateway_sessions%s %s)" $own $serving }}
{{- else }}
{{- printf "sum(anima_active_streams%s %s) + sum(rate(anima_rejected_total%s[1m])) * %d" $own $serving $own (int .w.autoscaling.meanStreamS) }}
{{- end }}
{{- end }}

{{/*
KEDA. A query without a result is an error and never "no load": otherwise a restart of Prometheus
would scale to zero. A stage that sleeps has no metrics, so there the gateway's tell "asleep" (it
reports conversations, the stage nothing) from "unknown" (neither does), and wake it.
*/}}
{{- define "anima.scaledObject" -}}
{{- $root := .root }}{{- $w := .w }}
{{- $least := int (include "anima.least" .) }}
{{- $edge := include "anima.objectName" (dict "root" $root "name" "gateway") }}
{{- $sessions := printf "max(anima_gateway_sessions{namespace=%q,pod=~\"%s-[^-]+-[^-]+\"})" $root.Release.Namespace $edge }}
{{- $query := include "anima.demandQuery" . }}
{{- if eq $least 0 }}{{- $query = printf "(%s) or 0 * %s" $query $sessions }}{{- end -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "anima.objectName" . }}
  pollingInterval: {{ int $w.autoscaling.pollingS }}
  cooldownPeriod: {{ int $w.autoscaling.cooldownS }}
  minReplicaCount: {{ $least }}
  maxReplicaCount: {{ int $w.autoscaling.max }}
  fallback:
    failureThreshold: 3
    replicas: {{ max 1 $least }}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "anima.scalingBehaviour" . | nindent 8 }}
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ $root.Values.monitoring.prometheusUrl | quote }}
        query: {{ $query | quote }}
        threshold: {{ mulf (include "anima.streams" .) $w.autoscaling.targetPercent 0.01 | toString | quote }}
        ignoreNullValues: "false"
    {{- if eq $least 0 }}
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ $root.Values.monitoring.prometheusUrl | quote }}
        query: {{ $sessions | quote }}
        threshold: "1000000"
        activationThreshold: "0"
        ignoreNullValues: "false"
    {{- end }}
{{- end }}
