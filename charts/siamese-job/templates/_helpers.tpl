{{/*
Names and labels of the objects of a release.

Names contain a hash of the content, because a Job and an immutable ConfigMap cannot be changed:
other values give other objects. With 44 characters of the release name, the hash, the index of a
pod, of three digits at most, and its random suffix fit into the 63 characters of a host name. A
release name may contain a dot; a host name may not.
*/}}
{{- define "siamese-job.base" -}}
{{- .Release.Name | replace "." "-" | trunc 44 | trimSuffix "-" -}}
{{- end -}}

{{- define "siamese-job.hash" -}}
{{- toJson . | sha256sum | trunc 8 -}}
{{- end -}}

{{/*
The hash covers neither the image nor the number of workers nor the keys that a resume may change:
a run resumes with other values of them.
*/}}
{{- define "siamese-job.runName" -}}
{{- $config := include "siamese-job.bindingConfig" . | fromJson -}}
{{- $parts := list .Release.Namespace .Release.Name $config .Values.data.files -}}
{{- $derived := printf "%s-%s" (include "siamese-job.base" .) (include "siamese-job.hash" $parts) -}}
{{- dig "run" "name" $derived .Values.config -}}
{{- end -}}

{{- define "siamese-job.configName" -}}
{{- $parts := list .Release.Name (include "siamese-job.config" .) -}}
{{- printf "%s-config-%s" (include "siamese-job.base" .) (include "siamese-job.hash" $parts) -}}
{{- end -}}

{{- define "siamese-job.dataName" -}}
{{- $parts := list .Release.Name .Values.data.files -}}
{{- printf "%s-data-%s" (include "siamese-job.base" .) (include "siamese-job.hash" $parts) -}}
{{- end -}}

{{/* Pods that train together know the Job's name, so the hash covers their template without it. */}}
{{- define "siamese-job.jobName" -}}
{{- $nameless := merge (dict "Job" "") . -}}
{{- $parts := list .Release.Name (include "siamese-job.fixedSpec" $nameless | fromYaml) -}}
{{- printf "%s-%s" (include "siamese-job.base" .) (include "siamese-job.hash" $parts) -}}
{{- end -}}

{{/* The Service of the Job that is given by its name; the name of a Service begins with a letter. */}}
{{- define "siamese-job.serviceName" -}}
{{- printf "workers-%s" . -}}
{{- end -}}

{{/* Whether several pods train together: text for true. */}}
{{- define "siamese-job.isDistributed" -}}
{{- if gt (int64 .Values.workers.count) 1 -}}true{{- end -}}
{{- end -}}

{{- define "siamese-job.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary .Release.Name "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "siamese-job.image" -}}
{{- $image := .Values.image -}}
{{- $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Labels of pods, without a version: the template is immutable, and selectors use them. */}}
{{- define "siamese-job.podLabels" -}}
app.kubernetes.io/name: siamese-job
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: trainer
{{- end -}}

{{/* Labels of every object. */}}
{{- define "siamese-job.labels" -}}
{{ include "siamese-job.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
