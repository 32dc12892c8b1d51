"""One YAML file to one frozen, checked `Config`, without TensorFlow.

Reading order: `root` and the section models it joins, `load` (the whole way from file to
config), `yaml12`, `layers`, `problems`; beside them `binding` (what a resume may change) and
`describe` (what `siamese-job config` prints).
"""
