{{/*
The configuration file of the container: the user's, plus keys that depend on the chart. It is
JSON, which is also YAML, because JSON keeps the type of every value: `toYaml` would write some
integers as 1e+06.
*/}}
{{- define "siamese-job.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $run := get $config "run" | default dict -}}
{{- $_ := set $run "name" (include "siamese-job.runName" .) -}}
{{- $_ := set $config "run" $run -}}
{{- if and (include "siamese-job.readsBucket" .) (not (dig "data" "mirror" "" $config)) -}}
{{- $_ := set (get $config "data") "mirror" "/scratch/data" -}}
{{- end -}}
{{- if include "siamese-job.metricsEnabled" . -}}
{{- $metrics := get $config "metrics" | default dict -}}
{{- $_ := set $metrics "port" (get $metrics "port" | default 9090) -}}
{{- if not (hasKey $metrics "linger_seconds") -}}
{{- $_ := set $metrics "linger_seconds" 30 -}}
{{- end -}}
{{- $_ := set $config "metrics" $metrics -}}
{{- end -}}
{{- toPrettyJson $config -}}
{{- end -}}

{{/*
The configuration without the keys that a resume may change, as JSON. An empty top-level section
means the same as none and is left out. A deeper empty section may turn something on and stays.
*/}}
{{- define "siamese-job.bindingConfig" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $key := .Files.Get "files/mutable-keys.yaml" | fromYamlArray -}}
{{- $path := splitList "." $key -}}
{{- $part := $config -}}
{{- range initial $path -}}
{{- $part = ternary (dict) (get $part .) (not (kindIs "map" (get $part .))) -}}
{{- end -}}
{{- $_ := unset $part (last $path) -}}
{{- end -}}
{{- range $key, $section := $config -}}
{{- if not $section -}}{{- $_ := unset $config $key -}}{{- end -}}
{{- end -}}
{{- toJson $config -}}
{{- end -}}

{{/* The paths of a key that may be one, a list of them or null, as a JSON array. */}}
{{- define "siamese-job.paths" -}}
{{- ternary . (without (list (. | default "")) "") (kindIs "slice" .) | toJson -}}
{{- end -}}

{{/* Whether data is downloaded from a bucket; /tmp may be too small for it. Text for true. */}}
{{- define "siamese-job.readsBucket" -}}
{{- range $key := list "root" "packed" "train" "validation" "test" "items" -}}
{{- range include "siamese-job.paths" (dig "data" $key "" $.Values.config) | fromJsonArray -}}
{{- if hasPrefix "gs://" . -}}true{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Text for true, nothing for false. */}}
{{- define "siamese-job.metricsEnabled" -}}
{{- if dig "metrics" "enabled" true .Values.config -}}true{{- end -}}
{{- end -}}

{{/* All interfaces: probes and Prometheus reach the container from outside. */}}
{{- define "siamese-job.metricsHost" -}}
{{- dig "metrics" "host" "0.0.0.0" .Values.config -}}
{{- end -}}

{{- define "siamese-job.metricsPort" -}}
{{- dig "metrics" "port" 0 .Values.config | default 9090 | int64 -}}
{{- end -}}

{{/* Whether the path names a binary file, whose value is base64: text for true. */}}
{{- define "siamese-job.isBinary" -}}
{{- if regexMatch "(?i)[.](gz|npz|npy|png|jpg|jpeg|zip)$" . -}}true{{- end -}}
{{- end -}}

{{/*
Whether the content can be stored as text. Control characters, byte order marks and Unicode line
separators do not survive all YAML writers and readers in between. Text for true.
*/}}
{{- define "siamese-job.isPlain" -}}
{{- $plain := "^[\\t\\r\\n -~\\x{A0}-\\x{2027}\\x{202A}-\\x{D7FF}\\x{E000}-\\x{FEFE}\\x{FF00}-\\x{FFFD}\\x{10000}-\\x{10FFFF}]*$" -}}
{{- if regexMatch $plain . -}}true{{- end -}}
{{- end -}}

{{/* The key of a path in the ConfigMap; a key must not contain a slash. */}}
{{- define "siamese-job.dataKey" -}}
{{- printf "%s-%s" (sha256sum . | trunc 8) (regexReplaceAllLiteral "[^-._a-zA-Z0-9]" (base .) "_" | trunc 200) -}}
{{- end -}}

{{/* Absolute path or URI of the run's root. */}}
{{- define "siamese-job.root" -}}
{{- $root := dig "run" "root" "runs" .Values.config | trimPrefix "file://" -}}
{{- if contains "://" $root -}}
{{- $root -}}
{{- else if hasPrefix "/" $root -}}
{{- clean $root -}}
{{- else -}}
{{- clean (printf "/scratch/%s" $root) -}}
{{- end -}}
{{- end -}}

{{/* Where the root is: `bucket`, `volume` (the user's), `scratch` (lost with the pod) or `image`. */}}
{{- define "siamese-job.rootKind" -}}
{{- $root := include "siamese-job.root" . -}}
{{- $kind := "image" -}}
{{- range list "/scratch" "/tmp" "/dev/shm" -}}
{{- if hasPrefix (printf "%s/" .) (printf "%s/" $root) -}}{{- $kind = "scratch" -}}{{- end -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- if hasPrefix (printf "%s/" (clean .mountPath)) (printf "%s/" $root) -}}{{- $kind = "volume" -}}{{- end -}}
{{- end -}}
{{- if contains "://" $root -}}{{- $kind = "bucket" -}}{{- end -}}
{{- $kind -}}
{{- end -}}
