{{/*
The immutable part of the Job named `.Job`. The Job's name contains its hash. The exit codes are
generated from job/errors.py into files/exit-codes.yaml. The first matching rule decides, so the exit
code of a disrupted pod is ignored. The chief, index 0, decides that a run is complete: when it has
ended, a worker that fails does not matter.
*/}}
{{- define "siamese-job.fixedSpec" -}}
{{- $codes := .Files.Get "files/exit-codes.yaml" | fromYaml -}}
completionMode: Indexed
completions: {{ int64 .Values.workers.count }}
parallelism: {{ int64 .Values.workers.count }}
backoffLimitPerIndex: {{ int64 .Values.failure.maxRestarts }}
maxFailedIndexes: 0
podReplacementPolicy: Failed
{{- if include "siamese-job.isDistributed" . }}
successPolicy:
  rules:
  - succeededIndexes: "0"
{{- end }}
podFailurePolicy:
  rules:
  - action: Ignore
    onPodConditions:
    - type: DisruptionTarget
      status: "True"
  - action: FailJob
    onExitCodes:
      containerName: trainer
      operator: In
      values: [{{ join ", " $codes.FailJob }}]
  - action: Ignore
    onExitCodes:
      containerName: trainer
      operator: In
      values: [{{ join ", " $codes.Ignore }}]
template:
  {{- include "siamese-job.podTemplate" . | nindent 2 }}
{{- end -}}
