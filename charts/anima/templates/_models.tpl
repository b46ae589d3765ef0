{{/*
Model files. Serving pods never download: they mount the store read-only, and wait until a Job has
filled it.
*/}}

{{- define "anima.modelsClaim" -}}
{{- or .Values.models.claim.existing (printf "%s-models" (include "anima.fullname" .)) }}
{{- end }}

{{- define "anima.modelsSource" -}}
{{- $root := .root }}
{{- if eq $root.Values.models.kind "image" -}}
image:
  reference: {{ $root.Values.models.image.reference }}
  pullPolicy: {{ $root.Values.models.image.pullPolicy }}
{{- else -}}
persistentVolumeClaim:
  claimName: {{ include "anima.modelsClaim" $root }}
  {{- if .readOnly }}
  readOnly: true
  {{- end }}
{{- end }}
{{- end }}

{{/* The arguments of `anima models pull` and `anima models check`. */}}
{{- define "anima.modelsList" -}}
{{- $words := deepCopy .Values.models.names }}
{{- if .Values.models.embedded }}{{- $words = append $words "--embedded" }}{{- end }}
{{- $words | toJson | trimPrefix "[" | trimSuffix "]" }}
{{- end }}

{{- define "anima.waitsForModels" -}}
{{- if and (eq .root.Values.models.kind "claim") (include "anima.modelsList" .root) -}}true{{- end }}
{{- end }}

{{- define "anima.modelsWait" -}}
{{- $root := .root -}}
- name: models
  image: {{ include "anima.image" . | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: ["anima", "models", "check", "--wait-s", {{ int $root.Values.models.waitS | quote }}, {{ include "anima.modelsList" $root }}]
  env:
    - name: ANIMA_DATA_DIR
      value: /var/lib/anima
    - name: HOME
      value: /tmp
  resources:
    {{- toYaml $root.Values.models.job.resources | nindent 4 }}
  securityContext:
    {{- include "anima.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    - name: data
      mountPath: /var/lib/anima
    - name: models
      mountPath: /var/lib/anima/models
      readOnly: true
{{- end }}

{{- define "anima.modelsJob" -}}
backoffLimit: 5
activeDeadlineSeconds: {{ int .Values.models.job.deadlineS }}
template:
  metadata:
    labels:
      {{- include "anima.labels" (dict "root" . "name" "models") | nindent 6 }}
  spec:
    restartPolicy: Never
    automountServiceAccountToken: false
    enableServiceLinks: false
    {{- with .Values.image.pullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- include "anima.podSecurity" . | nindent 6 }}
    {{- with .Values.models.job.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.models.job.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    containers:
      - name: pull
        image: {{ include "anima.image" (dict "root" . "w" .Values.defaults) | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        command: ["anima", "models", "pull", {{ include "anima.modelsList" . }}]
        env:
          - name: ANIMA_DATA_DIR
            value: /var/lib/anima
          - name: HOME
            value: /tmp
          {{- with .Values.models.job.env }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        resources:
          {{- toYaml .Values.models.job.resources | nindent 10 }}
        securityContext:
          {{- include "anima.containerSecurity" . | nindent 10 }}
        terminationMessagePolicy: FallbackToLogsOnError
        volumeMounts:
          - name: tmp
            mountPath: /tmp
          - name: data
            mountPath: /var/lib/anima
          - name: models
            mountPath: /var/lib/anima/models
    volumes:
      - name: tmp
        emptyDir:
          sizeLimit: {{ .Values.models.job.scratchSize }}
      - name: data
        emptyDir:
          sizeLimit: {{ .Values.models.job.scratchSize }}
      - name: models
        {{- include "anima.modelsSource" (dict "root" . "readOnly" false) | nindent 8 }}
{{- end }}
