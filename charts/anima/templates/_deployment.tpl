{{- define "anima.deployment" -}}
{{- $root := .root }}{{- $name := .name }}{{- $w := .w -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "anima.metadata" . | nindent 2 }}
  {{- with $w.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- /* An autoscaler owns the number: a second owner makes an upgrade with server-side apply fail. */}}
  {{- if not $w.autoscaling.enabled }}
  replicas: {{ include "anima.replicas" . }}
  {{- end }}
  revisionHistoryLimit: 3
  progressDeadlineSeconds: {{ include "anima.progressDeadline" . }}
  selector:
    matchLabels:
      {{- include "anima.selector" . | nindent 6 }}
  strategy:
    {{- include "anima.strategy" . | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "anima.labels" . | nindent 8 }}
        {{- with $w.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ $name }}
        {{- with $w.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "anima.pod" . | nindent 6 }}
{{- end }}

{{/*
A GPU is free again only when its pod has gone, so a GPU stage loses a pod before it gets the new
one. The others get the new one first.
*/}}
{{- define "anima.strategy" -}}
{{- $w := .w }}
{{- if $w.strategy }}
{{- toYaml $w.strategy }}
{{- else if include "anima.alone" . -}}
type: Recreate
{{- else if include "anima.usesGpu" . -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 0
  maxUnavailable: 1
{{- else -}}
type: RollingUpdate
rollingUpdate:
  maxSurge: 1
  maxUnavailable: 0
{{- end }}
{{- end }}

{{- define "anima.pod" -}}
{{- $root := .root }}{{- $name := .name }}{{- $w := .w -}}
serviceAccountName: {{ include "anima.objectName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "anima.grace" . }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (eq $name "gateway") $root.Values.webrtc.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- if $w.priorityClassName }}
priorityClassName: {{ $w.priorityClassName }}
{{- end }}
{{- if $w.runtimeClassName }}
runtimeClassName: {{ $w.runtimeClassName }}
{{- end }}
securityContext:
  {{- include "anima.podSecurity" . | nindent 2 }}
{{- include "anima.placement" . }}
{{- if include "anima.waitsForModels" . }}
initContainers:
  {{- include "anima.modelsWait" . | nindent 2 }}
{{- end }}
containers:
  - name: {{ $name }}
    image: {{ include "anima.image" . | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    command: ["python", "-m", {{ $w.module | quote }}]
    ports:
      - name: grpc
        containerPort: {{ int $w.port }}
        protocol: TCP
      {{- if eq $name "gateway" }}
      - name: http
        containerPort: {{ int $root.Values.http.port }}
        protocol: TCP
      {{- end }}
      - name: metrics
        containerPort: {{ int $root.Values.monitoring.port }}
        protocol: TCP
    env:
      {{- include "anima.env" . | nindent 6 }}
    {{- include "anima.probes" . | nindent 4 }}
    lifecycle:
      preStop:
        {{- include "anima.preStop" . | nindent 8 }}
    resources:
      {{- include "anima.resources" . | nindent 6 }}
    securityContext:
      {{- include "anima.containerSecurity" . | nindent 6 }}
    terminationMessagePolicy: FallbackToLogsOnError
    volumeMounts:
      {{- include "anima.mounts" . | nindent 6 }}
volumes:
  {{- include "anima.volumes" . | nindent 2 }}
{{- end }}

{{- define "anima.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "anima.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{- define "anima.placement" -}}
{{- $root := .root }}{{- $w := .w }}
{{- if $w.spread.enabled }}
topologySpreadConstraints:
  {{- range $w.spread.topologyKeys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $w.spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "anima.selector" $ | nindent 8 }}
    {{- if include "anima.atLeast" (dict "root" $root "version" "1.27") }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
{{- with $w.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $w.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $w.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $w.resourceClaims }}
resourceClaims:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The new Endpoints reach every client before the server stops listening. The image has no shell that
the hook may rely on, so before Kubernetes 1.30 Python sleeps.
*/}}
{{- define "anima.preStop" -}}
{{- $w := .w }}
{{- if include "anima.atLeast" (dict "root" .root "version" "1.30") -}}
sleep:
  seconds: {{ int $w.drain.preStopS }}
{{- else -}}
exec:
  command: ["python", "-c", "import time; time.sleep({{ int $w.drain.preStopS }})"]
{{- end }}
{{- end }}

{{- define "anima.resources" -}}
{{- $w := .w }}
{{- $resources := deepCopy $w.resources }}
{{- if gt (int $w.gpu.count) 0 }}
{{- $limits := dict }}
{{- $_ := set $limits $w.gpu.resource (int $w.gpu.count) }}
{{- $_ := include "anima.overlay" (dict "into" $resources "from" (dict "limits" $limits)) }}
{{- end }}
{{- with $w.resourceClaims }}
{{- $claims := list }}
{{- range . }}{{- $claims = append $claims (dict "name" .name) }}{{- end }}
{{- $_ := set $resources "claims" $claims }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{/*
The name "" is SERVING while the process lives; the name of the service is SERVING once its models
are loaded. The readiness of the gateway waits for the stages, so its start does not wait for it.
*/}}
{{- define "anima.probes" -}}
{{- $w := .w }}
{{- $start := ternary $w.healthService "" $w.probes.startWhenReady -}}
startupProbe:
  {{- include "anima.probe" (dict "root" .root "w" $w "service" $start) | nindent 2 }}
  periodSeconds: {{ int $w.probes.periodS }}
  timeoutSeconds: {{ int $w.probes.timeoutS }}
  failureThreshold: {{ divf $w.probes.startupS $w.probes.periodS | ceil | int | max 1 }}
readinessProbe:
  {{- include "anima.probe" (dict "root" .root "w" $w "service" $w.healthService) | nindent 2 }}
  periodSeconds: {{ int $w.probes.periodS }}
  timeoutSeconds: {{ int $w.probes.timeoutS }}
  failureThreshold: {{ int $w.probes.readinessFailures }}
livenessProbe:
  {{- include "anima.probe" (dict "root" .root "w" $w "service" "") | nindent 2 }}
  periodSeconds: {{ int $w.probes.periodS }}
  timeoutSeconds: {{ int $w.probes.timeoutS }}
  failureThreshold: {{ int $w.probes.livenessFailures }}
{{- end }}

{{- define "anima.execProbe" -}}
{{- $w := .w }}
{{- if eq $w.probes.kind "exec" -}}true
{{- else if eq $w.probes.kind "auto" }}
{{- if not (include "anima.atLeast" (dict "root" .root "version" "1.24")) -}}true{{- end }}
{{- end }}
{{- end }}

{{- define "anima.probe" -}}
{{- $w := .w }}
{{- if include "anima.execProbe" . -}}
exec:
  command: ["anima", "health", "--target", "127.0.0.1:{{ int $w.port }}", "--service", {{ .service | quote }}]
{{- else -}}
grpc:
  port: {{ int $w.port }}
  service: {{ .service | quote }}
{{- end }}
{{- end }}
