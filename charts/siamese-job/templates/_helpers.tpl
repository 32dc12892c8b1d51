{{/*
What the objects of a release are called, and what they are labelled with.

Names carry a hash of what they name, because a Job and an immutable ConfigMap cannot be
changed: other values are other objects. 46 characters of the release leave room for the hash,
the index of a pod and its random suffix within the 63 of a host name. A dot may be in the name
of a release, but not in that of a host.
*/}}
{{- define "siamese-job.base" -}}
{{- .Release.Name | replace "." "-" | trunc 46 | trimSuffix "-" -}}
{{- end -}}

{{- define "siamese-job.hash" -}}
{{- toJson . | sha256sum | trunc 8 -}}
{{- end -}}

{{/* Neither the image nor a key that a resume may change is part of it: the run goes on with another. */}}
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

{{- define "siamese-job.jobName" -}}
{{- $parts := list .Release.Name (include "siamese-job.fixedSpec" . | fromYaml) -}}
{{- printf "%s-%s" (include "siamese-job.base" .) (include "siamese-job.hash" $parts) -}}
{{- end -}}

{{- define "siamese-job.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary .Release.Name "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "siamese-job.image" -}}
{{- $image := .Values.image -}}
{{- $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Of pods. No version among them: a template cannot change, and selectors use them. */}}
{{- define "siamese-job.podLabels" -}}
app.kubernetes.io/name: siamese-job
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: trainer
{{- end -}}

{{/* Of every object. */}}
{{- define "siamese-job.labels" -}}
{{ include "siamese-job.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
