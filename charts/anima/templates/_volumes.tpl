{{/*
The root of every container is read-only. Writable are /tmp and the data folder: both are gone with
the pod, unless the workload has storage. Secrets are mounted as folders: a file that is mounted by
subPath never changes, and the services read renewed secrets again.
*/}}

{{- define "anima.mounts" -}}
{{- $root := .root }}{{- $w := .w -}}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /var/lib/anima
{{- if $w.sharedMemory }}
- name: shared-memory
  mountPath: /dev/shm
{{- end }}
{{- if ne $root.Values.models.kind "none" }}
- name: models
  mountPath: /var/lib/anima/models
  readOnly: true
{{- end }}
{{- if $root.Values.personas.volume }}
- name: personas
  mountPath: /etc/anima/personas
  readOnly: true
{{- end }}
{{ include "anima.authMounts" . }}
{{- range $key, $secret := $w.secretFiles }}
- name: secret-{{ $key | replace "_" "-" }}
  mountPath: /etc/anima/secrets/{{ $key }}
  readOnly: true
{{- end }}
{{- with $w.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "anima.volumes" -}}
{{- $root := .root }}{{- $w := .w -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ $w.scratchSize }}
- name: data
  {{- if $w.storage.enabled }}
  persistentVolumeClaim:
    claimName: {{ or $w.storage.existingClaim (include "anima.objectName" .) }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ $w.scratchSize }}
  {{- end }}
{{- if $w.sharedMemory }}
- name: shared-memory
  emptyDir:
    medium: Memory
    sizeLimit: {{ $w.sharedMemory }}
{{- end }}
{{- if ne $root.Values.models.kind "none" }}
- name: models
  {{- include "anima.modelsSource" (dict "root" $root "readOnly" true) | nindent 2 }}
{{- end }}
{{- if $root.Values.personas.volume }}
- name: personas
  {{- toYaml $root.Values.personas.volume | nindent 2 }}
{{- end }}
{{ include "anima.authVolumes" . }}
{{- range $key, $secret := $w.secretFiles }}
- name: secret-{{ $key | replace "_" "-" }}
  secret:
    secretName: {{ $secret.secret }}
    items:
      - key: {{ $secret.key }}
        path: {{ $secret.key }}
{{- end }}
{{- with $w.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
