{{/* Names, labels, and what the cluster can do. */}}

{{/* The name that all objects begin with; 40 characters leave room for the stage. */}}
{{- define "anima.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $chart := or .Values.nameOverride .Chart.Name }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "anima.objectName" -}}
{{- printf "%s-%s" (include "anima.fullname" .root) .name }}
{{- end }}

{{/* These never change, since the selector of a Deployment cannot. */}}
{{- define "anima.selector" -}}
app.kubernetes.io/name: {{ or .root.Values.nameOverride .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "anima.labels" -}}
{{ include "anima.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: anima
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "anima.metadata" -}}
name: {{ include "anima.objectName" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "anima.labels" . | nindent 2 }}
{{- end }}

{{/* "true" if the cluster has a version or a newer one; "-0" lets the suffixes of vendors pass. */}}
{{- define "anima.atLeast" -}}
{{- if semverCompare (printf ">=%s-0" .version) .root.Capabilities.KubeVersion.Version -}}true{{- end }}
{{- end }}

{{/* The DNS name of a stage: its Service is headless, so that a client sees every replica. */}}
{{- define "anima.host" -}}
{{- printf "%s.%s.svc.%s" (include "anima.objectName" .) .root.Release.Namespace .root.Values.clusterDomain }}
{{- end }}

{{- define "anima.image" -}}
{{- $root := .root }}{{- $w := .w }}
{{- $repository := or $w.image.repository $root.Values.image.repository }}
{{- if $root.Values.image.registry }}
{{- $repository = printf "%s/%s" $root.Values.image.registry $repository }}
{{- end }}
{{- if $w.image.digest -}}
{{- printf "%s@%s" $repository $w.image.digest }}
{{- else -}}
{{- printf "%s:%s" $repository (or $w.image.tag $root.Values.image.tag $root.Chart.AppVersion) }}
{{- end }}
{{- end }}
