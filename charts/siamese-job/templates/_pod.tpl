{{/* The pod template of the Job named `.Job`. The hash in the Job's name covers the rest of it. */}}
{{- define "siamese-job.podTemplate" -}}
metadata:
  labels:
    {{- include "siamese-job.podLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- $default := dict "kubectl.kubernetes.io/default-container" "trainer" }}
    {{- merge (dict) .Values.podAnnotations $default | toYaml | nindent 4 }}
spec:
  restartPolicy: Never
  {{- if include "siamese-job.isDistributed" . }}
  # Gives each pod a name that the others resolve.
  subdomain: {{ include "siamese-job.serviceName" .Job }}
  {{- end }}
  serviceAccountName: {{ include "siamese-job.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int64 .Values.terminationGracePeriodSeconds }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ quote . }}
  {{- end }}
  {{- with .Values.runtimeClassName }}
  runtimeClassName: {{ quote . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  containers:
  - name: trainer
    {{- include "siamese-job.container" . | nindent 4 }}
  volumes:
  {{- include "siamese-job.volumes" . | nindent 2 }}
{{- end -}}

{{- define "siamese-job.container" -}}
image: {{ include "siamese-job.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [train, /etc/siamese/config.yaml]
workingDir: /scratch
env:
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_RELEASE
  value: {{ .Release.Name | quote }}
- name: POD_GRACE_SECONDS
  value: {{ int64 .Values.terminationGracePeriodSeconds | quote }}
- name: JOB_UID
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}}
- name: JOB_FAILURES
  valueFrom: {fieldRef: {fieldPath: "metadata.annotations['batch.kubernetes.io/job-index-failure-count']"}}
- name: JOB_PREEMPTIONS
  valueFrom: {fieldRef: {fieldPath: "metadata.annotations['batch.kubernetes.io/job-index-ignored-failure-count']"}}
{{- if include "siamese-job.isDistributed" . }}
# Every worker by index; Kubernetes itself sets JOB_COMPLETION_INDEX.
- name: WORKER_ADDRESSES
  value: {{ include "siamese-job.workerAddresses" . | quote }}
{{- end }}
{{- if include "siamese-job.metricsEnabled" . }}
# The startup probe's budget: a pod that this probe kills exits with 77, which counts.
- name: POD_MAX_STARTUP_SECONDS
  value: {{ int64 .Values.failure.maxStartupSeconds | quote }}
{{- with index (.Values.workers.resources.limits | default dict) "nvidia.com/gpu" }}
# The program refuses to train on a CPU in a pod that has GPUs.
- name: POD_GPUS
  value: {{ . | quote }}
{{- end }}
# The environment overrides the configuration file, and the image sets this variable.
- name: SIAMESE_METRICS__HOST
  value: {{ include "siamese-job.metricsHost" . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
{{ toYaml . }}
{{- end }}
ports:
- name: cluster
  containerPort: 2222
{{- if include "siamese-job.isDistributed" . }}
- name: cluster-tf
  containerPort: 2223
{{- end }}
{{- if include "siamese-job.metricsEnabled" . }}
- name: metrics
  containerPort: {{ include "siamese-job.metricsPort" . }}
# Succeeds once training begins, so its budget includes the wait for other workers. A slower pod is
# killed, which counts as a failure.
startupProbe:
  httpGet: {path: /startupz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: {{ div (add (int64 .Values.failure.maxStartupSeconds) 9) 10 }}
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
# Detects a process that no longer responds. A separate thread responds, or a separate process where
# several workers train: a training step that hangs goes unnoticed here, and ends with 77.
livenessProbe:
  httpGet: {path: /livez, port: metrics}
  periodSeconds: 30
  timeoutSeconds: 5
  failureThreshold: 3
  terminationGracePeriodSeconds: 10
{{- end }}
resources:
  {{- toYaml .Values.workers.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
terminationMessagePath: /dev/termination-log
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
- name: config
  mountPath: /etc/siamese
  readOnly: true
- name: scratch
  mountPath: /scratch
- name: tmp
  mountPath: /tmp
- name: shm
  mountPath: /dev/shm
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* host:port of every worker, in order of the index. */}}
{{- define "siamese-job.workerAddresses" -}}
{{- $addresses := list -}}
{{- range $index := until (int .Values.workers.count) -}}
{{- $service := include "siamese-job.serviceName" $.Job -}}
{{- $addresses = append $addresses (printf "%s-%d.%s:2222" $.Job $index $service) -}}
{{- end -}}
{{- join "," $addresses -}}
{{- end -}}

{{- define "siamese-job.volumes" -}}
- name: config
  projected:
    sources:
    - configMap:
        name: {{ include "siamese-job.configName" . }}
    {{- with .Values.data.files }}
    - configMap:
        name: {{ include "siamese-job.dataName" $ }}
        items:
        {{- range $path, $_ := . }}
        - key: {{ include "siamese-job.dataKey" $path }}
          path: {{ toJson $path }}
        {{- end }}
    {{- end }}
- name: scratch
  emptyDir:
    sizeLimit: {{ .Values.scratch.sizeLimit | quote }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.scratch.tmpSizeLimit | quote }}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.scratch.sharedMemorySizeLimit | quote }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
