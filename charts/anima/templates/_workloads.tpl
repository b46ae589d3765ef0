{{/*
The workloads: each entry of `stages`, and the gateway. Every one is `defaults` overlaid by its own
entry. Sprig's merge functions treat 0 and false as missing, so this has a merge of its own.
*/}}

{{- define "anima.overlay" -}}
{{- $into := .into }}
{{- range $key, $value := .from }}
{{- $there := get $into $key }}
{{- if and (kindIs "map" $value) (kindIs "map" $there) }}
{{- include "anima.overlay" (dict "into" $there "from" $value) }}
{{- else }}
{{- $_ := set $into $key $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* Puts the enabled workloads into the dictionary `into`, by name. */}}
{{- define "anima.collect" -}}
{{- $root := .root }}{{- $into := .into }}
{{- $given := deepCopy $root.Values.stages }}
{{- $_ := set $given "gateway" (deepCopy $root.Values.gateway) }}
{{- range $name, $own := $given }}
{{- $w := deepCopy $root.Values.defaults }}
{{- $_ := include "anima.overlay" (dict "into" $w "from" $own) }}
{{- if $w.enabled }}
{{- $_ := include "anima.check" (dict "root" $root "name" $name "w" $w) }}
{{- $_ := set $into $name $w }}
{{- else if eq $name "gateway" }}
{{- fail "gateway.enabled is false: nobody would call the stages. Disable stages instead." }}
{{- end }}
{{- end }}
{{- end }}

{{/* How many streams a pod serves at the latency goal; empty if the table does not say. */}}
{{- define "anima.streams" -}}
{{- $capacity := get .root.Values.capacity .name }}
{{- if kindIs "map" $capacity }}{{ int $capacity.streams }}{{- end }}
{{- end }}

{{/* The pods that `conversations` need, by the table of capacities; 0 if it is not set. */}}
{{- define "anima.needed" -}}
{{- $capacity := get .root.Values.capacity .name }}
{{- if or (eq (int .root.Values.conversations) 0) .w.storage.enabled -}}
0
{{- else if not (kindIs "map" $capacity) -}}
{{- fail (printf "conversations is set, so capacity.%s.streams must say how many streams a pod serves: docs/kubernetes.md says how to measure it." .name) }}
{{- else -}}
{{- $share := ternary $capacity.perConversation 1 (hasKey $capacity "perConversation") }}
{{- ceil (divf (mulf .root.Values.conversations $share) $capacity.streams) | int }}
{{- end }}
{{- end }}

{{/* The pods without autoscaling. */}}
{{- define "anima.replicas" -}}
{{- max (int .w.replicas) (int (include "anima.needed" .)) }}
{{- end }}

{{/* The least pods with autoscaling. */}}
{{- define "anima.least" -}}
{{- max (int .w.autoscaling.min) (int (include "anima.needed" .)) }}
{{- end }}

{{/* The seconds from the request to stop until a pod is killed. Kubernetes counts the preStop hook too. */}}
{{- define "anima.grace" -}}
{{- add .w.drain.preStopS .w.drain.timeoutS .w.drain.marginS }}
{{- end }}

{{/* The seconds that the rollout of one pod may take: its predecessor drains, then it loads. */}}
{{- define "anima.progressDeadline" -}}
{{- $wait := ternary .root.Values.models.waitS 0 (eq "true" (include "anima.waitsForModels" .)) }}
{{- add (include "anima.grace" .) .w.probes.startupS $wait 300 }}
{{- end }}

{{- define "anima.usesGpu" -}}
{{- if or (gt (int .w.gpu.count) 0) .w.resourceClaims -}}true{{- end }}
{{- end }}

{{/* "true" if one pod at most may have the volume: two would corrupt it, or could not attach it. */}}
{{- define "anima.alone" -}}
{{- if and .w.storage.enabled (or .w.storage.singleWriter (not (has "ReadWriteMany" .w.storage.accessModes))) -}}true{{- end }}
{{- end }}

{{- define "anima.check" -}}
{{- $name := .name }}{{- $w := .w }}
{{- if $w.autoscaling.enabled }}
{{- if not (include "anima.streams" .) }}
{{- fail (printf "%s is scaled by its streams, so capacity.%s.streams must say how many a pod serves: docs/kubernetes.md says how to measure it." $name $name) }}
{{- end }}
{{- if and (eq $w.autoscaling.kind "hpa") (eq (int (include "anima.least" .)) 0) }}
{{- fail (printf "%s.autoscaling.min is 0: only KEDA scales from zero. Set autoscaling.kind to keda, or min to 1." $name) }}
{{- end }}
{{- if gt (int (include "anima.least" .)) (int $w.autoscaling.max) }}
{{- fail (printf "%s.autoscaling.max is %d, but at least %s pods are asked for." $name (int $w.autoscaling.max) (include "anima.least" .)) }}
{{- end }}
{{- end }}
{{- if include "anima.alone" . }}
{{- if or $w.autoscaling.enabled (gt (int $w.replicas) 1) }}
{{- fail (printf "%s has a volume of its own (storage.enabled), which one pod at most may write: set replicas to 1 and autoscaling.enabled to false, or keep its data elsewhere (for the memory: the engine postgres)." $name) }}
{{- end }}
{{- end }}
{{- range $called := $w.calls }}
{{- if not (hasKey $.root.Values.stages $called) }}
{{- fail (printf "%s.calls names %s, which is not in stages." $name $called) }}
{{- end }}
{{- end }}
{{- end }}
