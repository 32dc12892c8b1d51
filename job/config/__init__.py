"""One YAML file to one frozen, checked `Config`, without TensorFlow.

Reading order: `root` and the section models, one file each; `loader.load_config` (from file to
`Config`), `loader.yaml12`, `loader.merge`, `loader.problems`; `resume` (what a resume may
change) and `describe` (what `siamese-job config` prints).
"""
