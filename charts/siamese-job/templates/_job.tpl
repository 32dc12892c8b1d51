{{/*
What cannot be changed in a Job that exists; its hash is in the Job's name. The exit codes are
those of job/errors.py, by way of files/exit-codes.yaml; the first rule that matches decides, so
a pod that was taken away is never blamed for how it ended.
*/}}
{{- define "siamese-job.fixedSpec" -}}
{{- $codes := .Files.Get "files/exit-codes.yaml" | fromYaml -}}
completionMode: Indexed
completions: {{ int64 .Values.workers.count }}
parallelism: {{ int64 .Values.workers.count }}
backoffLimitPerIndex: {{ int64 .Values.failure.maxRestarts }}
maxFailedIndexes: 0
podReplacementPolicy: Failed
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
