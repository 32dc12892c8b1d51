{{/*
Rejects combinations of values that the schema cannot exclude, and says what to do instead.
*/}}
{{- define "siamese-job.checks" -}}
{{- include "siamese-job.checkConfig" . -}}
{{- include "siamese-job.checkPorts" . -}}
{{- include "siamese-job.checkFiles" . -}}
{{- include "siamese-job.checkEnvironment" . -}}
{{- include "siamese-job.checkVolumes" . -}}
{{- include "siamese-job.checkLabels" . -}}
{{- end -}}

{{- define "siamese-job.checkConfig" -}}
{{- if not .Values.config -}}
{{- fail "config is empty. Give the run's configuration below it, the same that a file of `siamese-job train` holds; at least `config.data.train`, the pair file to train on. examples/text.yaml is one to start from." -}}
{{- end -}}
{{- if not (dig "data" "train" "" .Values.config) -}}
{{- fail "config.data.train is missing. Name the pair file to train on: a path in data.files, or below config.data.root in the image or in a volume." -}}
{{- end -}}
{{- $host := include "siamese-job.metricsHost" . -}}
{{- if and (include "siamese-job.metricsEnabled" .) (not (has $host (list "0.0.0.0" "::"))) -}}
{{- fail (printf "config.metrics.host is %q, where neither probes nor Prometheus reach the pod. Leave it out for 0.0.0.0, every interface; where pods have IPv6 addresses only, give \"::\"." $host) -}}
{{- end -}}
{{- if eq (include "siamese-job.rootKind" .) "image" -}}
{{- fail (printf "config.run.root is %q, which cannot be written in the container. Mount a volume there with extraVolumes and extraVolumeMounts, or give a bucket such as gs://bucket/prefix." (dig "run" "root" "runs" .Values.config)) -}}
{{- end -}}
{{- end -}}

{{- define "siamese-job.checkPorts" -}}
{{- $port := include "siamese-job.metricsPort" . -}}
{{- if and (include "siamese-job.metricsEnabled" .) (has $port (list "2222" "2223")) -}}
{{- fail (printf "config.metrics.port is %s, where the workers of a run talk to each other. Leave it out, which gives 9090, or choose another port." $port) -}}
{{- end -}}
{{- end -}}

{{- define "siamese-job.checkFiles" -}}
{{- $bytes := 0 -}}
{{- $files := .Values.data.files -}}
{{- range $path, $content := $files -}}
{{- include "siamese-job.checkPath" (dict "path" $path "files" $files) -}}
{{- $size := len $content -}}
{{- if include "siamese-job.isBinary" $path -}}
{{- $code := regexReplaceAllLiteral "\\s" $content "" -}}
{{- if or (mod (len $code) 4) (not (regexMatch "^[A-Za-z0-9+/]+={0,2}$" $code)) -}}
{{- fail (printf "data.files: %q is not base64, which a binary file must be given as. `base64 FILE` prints it." $path) -}}
{{- end -}}
{{- $size = sub (div (mul (len $code) 3) 4) (len (regexFind "=*$" $code)) -}}
{{- end -}}
{{- $bytes = add $bytes $size -}}
{{- end -}}
{{- if gt (int64 $bytes) 307200 -}}
{{- fail (printf "data.files hold %d bytes together; at most 307200 (300 KiB) fit in a release. Compress them with gzip (.csv.gz is read as it is), or pack them into a bucket (siamese-job data pack) and name that in config.data.packed, or mount a volume or use an image that holds them, and say with config.data.root where they are." (int64 $bytes)) -}}
{{- end -}}
{{- end -}}

{{- define "siamese-job.checkPath" -}}
{{- $path := .path -}}
{{- if or (not $path) (ne $path (clean $path)) (hasPrefix "/" $path) (hasPrefix ".." $path) (eq $path ".") -}}
{{- fail (printf "data.files: %q is not a plain relative path. Write it as folder/name.csv: no leading or trailing /, no empty, . or .. part." $path) -}}
{{- end -}}
{{- if eq (index (splitList "/" $path) 0) "config.yaml" -}}
{{- fail (printf "data.files: %q would lie where the run's configuration does. Give the file another name." $path) -}}
{{- end -}}
{{- range $other, $_ := .files -}}
{{- if hasPrefix (printf "%s/" $path) $other -}}
{{- fail (printf "data.files: %q is a file, so %q cannot lie below it. Rename one of them." $path $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Helm's server-side apply rejects a list with two entries of the same name. */}}
{{- define "siamese-job.checkEnvironment" -}}
{{- $set := list "JOB_COMPLETION_INDEX" "JOB_FAILURES" "JOB_PREEMPTIONS" "JOB_UID" "POD_GRACE_SECONDS" "POD_MAX_STARTUP_SECONDS" "POD_NAME" "POD_NAMESPACE" "POD_RELEASE" "WORKER_ADDRESSES" -}}
{{- $read := "^SIAMESE_(RUN|RUN__NAME|RUN__ROOT|DATA|DATA__.*|METRICS|METRICS__(ENABLED|HOST|PORT))$" -}}
{{- $seen := dict -}}
{{- range .Values.extraEnv -}}
{{- if has .name $set -}}
{{- fail (printf "extraEnv: %q is set by the chart or by Kubernetes itself. Remove it." .name) -}}
{{- end -}}
{{- if regexMatch $read (upper .name) -}}
{{- $key := upper .name | trimPrefix "SIAMESE_" | replace "__" "." | lower -}}
{{- fail (printf "extraEnv: %q would hide config.%s from the chart. Set config.%s instead." .name $key $key) -}}
{{- end -}}
{{- if hasKey $seen .name -}}
{{- fail (printf "extraEnv: %q is given twice. Keep one of the two." .name) -}}
{{- end -}}
{{- $_ := set $seen .name true -}}
{{- end -}}
{{- end -}}

{{- define "siamese-job.checkVolumes" -}}
{{- $names := list "config" "scratch" "tmp" "shm" -}}
{{- $buckets := dict -}}
{{- range .Values.extraVolumes -}}
{{- $driver := dig "csi" "driver" "" . -}}
{{- if has $driver (list "gcsfuse.csi.storage.gke.io" "s3.csi.aws.com" "blob.csi.azure.com") -}}
{{- $_ := set $buckets .name $driver -}}
{{- end -}}
{{- if has .name $names -}}
{{- fail (printf "extraVolumes: a volume %q is there already, the chart's or one of these. Choose another name." .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $paths := list "/etc/siamese" "/scratch" "/tmp" "/dev/shm" -}}
{{- $root := include "siamese-job.root" . -}}
{{- range .Values.extraVolumeMounts -}}
{{- $path := clean .mountPath -}}
{{- if has $path $paths -}}
{{- fail (printf "extraVolumeMounts: something is mounted at %q already, by the chart or by one of these. Choose another path; below /scratch is possible." $path) -}}
{{- end -}}
{{- if hasPrefix "/etc/siamese/" $path -}}
{{- fail (printf "extraVolumeMounts: %q lies in the read-only folder of the configuration. Choose another path and name it in config.data.root." $path) -}}
{{- end -}}
{{- if not (has .name (without $names "config" "scratch" "tmp" "shm")) -}}
{{- fail (printf "extraVolumeMounts: there is no volume %q. Describe it in extraVolumes." .name) -}}
{{- end -}}
{{- if and (hasKey $buckets .name) (hasPrefix (printf "%s/" $path) (printf "%s/" $root)) -}}
{{- fail (printf "config.run.root is %q, in a volume of the driver %q: a mounted bucket has neither locks nor atomic renames. Use a bucket of Cloud Storage directly (gs://bucket/prefix), or a volume of a disk or NFS server." $root (get $buckets .name)) -}}
{{- end -}}
{{- $paths = append $paths $path -}}
{{- end -}}
{{- end -}}

{{- define "siamese-job.checkLabels" -}}
{{- $own := include "siamese-job.labels" . | fromYaml -}}
{{- range $value := list "podLabels" "jobLabels" -}}
{{- range $name, $_ := index $.Values $value -}}
{{- if hasKey $own $name -}}
{{- fail (printf "%s: %q is set by the chart. Choose another label." $value $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
