"""Each mistake that a configuration file can contain gets one line.

The line names the place, the key, what was received, and the reason or the way out.
"""

import pytest

from tests.config.conftest import MINIMAL, Complaints

# The file | line:column: key | what was received | the reason or the way out.
MISTAKES = """
training: {epoch: 3} | 3:12: training.epoch | 3 | Did you mean 'epochs'?
training: {Epochs: 3} | 3:12: training.Epochs | 3 | Did you mean 'epochs'?
training: {batch_size: 3} | 3:12: training.batch_size | 3 | Did you mean 'global_batch_size'?
model: {units: 3} | 3:9: model.units | 3 | Known keys here: encoder, head, precision
training.epochs: 3 | 3:1: 'training.epochs' | 3 | Did you mean 'training'?
logging: {level:INFO} | 3:11: logging.'level:INFO' | null | Did you mean 'level'?
zzzzz: 1 | 3:1: zzzzz | 1 | Known keys here: run, data
training: {epochs: '3'} | 3:20: training.epochs | '3' | a whole number, at least 1
training: {epochs: 1_000} | 3:20: training.epochs | '1_000' | a whole number, at least 1
training: {epochs: 1e3} | 3:20: training.epochs | 1000.0 | a whole number, at least 1
training: {epochs: 2.5} | 3:20: training.epochs | 2.5 | a whole number, at least 1
training: {epochs: yes} | 3:20: training.epochs | 'yes' | a whole number, at least 1
training: {epochs: true} | 3:20: training.epochs | true | a whole number, at least 1
training: {epochs: [3]} | 3:20: training.epochs | [3] | a whole number, at least 1
training: {global_batch_size: } | 3:30: training.global_batch_size | null | a whole number, at
data: {train: 2026} | 2:15: data.train | 2026 | Put it in quotes
data: {train: false} | 2:15: data.train | false | Put it in quotes
data: {train: } | 2:14: data.train | null | text that is not empty
data: {train: ''} | 2:15: data.train | '' | text that is not empty
data: {train: []} | 2:15: data.train | [] | text that is not empty, or a list of such
data: {train: [a, 3]} | 2:19: data.train.1 | 3 | must be text that is not empty
data: {train: [a, a]} | 2:15: data.train | 'a' twice | each name may occur once
data: {train: [a, 's3://b/c']} | 2:15: data.train | 's3://b/c' | a path of this machine or gs
data: {train: a, test: {b: c}} | 2:24: data.test | {b: c} | or a list of such, or null
metrics: {enabled: no} | 3:20: metrics.enabled | 'no' | true or false
metrics: {enabled: 'true'} | 3:20: metrics.enabled | 'true' | true or false
metrics: {enabled: 1} | 3:20: metrics.enabled | 1 | true or false
metrics: {linger_seconds: 1s} | 3:27: metrics.linger_seconds | '1s' | a number from 0 to 3600
training: 3 | 3:11: training | 3 | a section with keys of its own
training: | 3:10: training | null | a section with keys of its own
training: {optimizer: adam} | 3:23: training.optimizer | 'adam' | a section with keys of its own
callbacks: {early_stopping: true} | 3:29: callbacks.early_stopping | true | a section with keys
callbacks: {custom: {target: 'a:B'}} | 3:21: callbacks.custom | {target: "a:B"} | a list
callbacks: {custom: [5]} | 3:22: callbacks.custom.0 | 5 | a section with keys of its own
training: {epochs: 0} | 3:20: training.epochs | 0 | a whole number, at least 1
metrics: {port: 65536} | 3:17: metrics.port | 65536 | a whole number from 0 to 65535
model: {encoder: {dropout: 1}} | 3:28: model.encoder.dropout | 1 | a number, at least 0 and belo
run: {name: My_Run} | 1:13: run.name | 'My_Run' | 1 to 63 lower-case letters
run: {name: 12} | 1:13: run.name | 12 | Put it in quotes
distribution: {devices: tpu} | 3:25: distribution.devices | 'tpu' | auto, cpu, gpu, cpu:N or
callbacks: {custom: [{target: foo}]} | 3:31: callbacks.custom.0.target | 'foo' | `module:Class`,
logging: {level: info} | 3:18: logging.level | 'info' | Did you mean 'INFO'?
logging: {level: false} | 3:18: logging.level | false | one of DEBUG, INFO, WARNING, ERROR
model: {encoder: {kind: ltsm}} | 3:25: model.encoder.kind | 'ltsm' | Did you mean 'lstm'?
training: {optimizer: {kind: adm}} | 3:30: training.optimizer.kind | 'adm' | Did you mean 'adam'
training: {optimizer: {kind: }} | 3:29: training.optimizer.kind | null | one of adam, adamw, r
checkpoint: {monitor: val_acc} | 3:23: checkpoint.monitor | 'val_acc' | Did you mean 'val_accura
checkpoint: {monitor: 3} | 3:23: checkpoint.monitor | 3 | one of loss, accuracy, val_loss
data: {train: a, columns: {left: a, right: a}} | 2:18: data.columns | a, a, label | each column
data: {train: a, columns: {left: [a, b], right: b}} | 2:18: data.columns | a, b, b, label | each
data: {train: a, columns: {item: [a, b, id]}} | 2:18: data.columns | a, b, id, id, class | each
data: {kind: sequence, train: a, columns: {left: [a, b]}} | 2:1: data | kind: sequence | so it n
data: {train: a, split: {test_fraction: 0.95}} | 2:18: data.split | 0.1 + 0.95 | validation_frac
data: {train: a, split: {by: group}} | 2:1: data | null | `split.by: group` needs `columns.group
data: {train: a, rows: items, columns: {group: g}} | 2:1: data | columns.group: g | `columns.gro
data: {train: a, columns: {split: s}, test: b} | 2:1: data | test: b | `columns.split` says
data: {train: a, rows: items, items: b} | 2:1: data | items: b | `items` is for pair files
data: {train: a, sampling: {}} | 2:1: data | sampling.kind: pairs | `sampling` has no effect on
data: {train: a, size: 64} | 2:18: data.size | 64 | It belongs to another kind: image
model: {encoder: {kind: cnn, filters: [0]}} | 3:40: model.encoder.filters.0 | 0 | a whole number
model: {encoder: {kind: cnn, filters: []}} | 3:39: model.encoder.filters | [] | a list of 1 to
training: {optimizer: {kind: adam, momentum: 0.9}} |
    3:36: training.optimizer.momentum | 0.9 | It belongs to another kind: sgd
callbacks: {custom: [{target: 'a:B', args: 1}]} |
    3:38: callbacks.custom.0.args | 1 | Did you mean 'arguments'?
callbacks: {custom: [{target: 'a:B', arguments: 5}]} |
    3:49: callbacks.custom.0.arguments | 5 | a mapping
callbacks: {custom: [{target: 'a:B', arguments: {x: {dict: [1, .nan]}}}]} |
    3:64: callbacks.custom.0.arguments.x.dict.1 | .nan | a finite number
training: {optimizer: {learning_rate: 0}} |
    3:39: training.optimizer.learning_rate | 0 | a number above 0
training: {optimizer: {learning_rate: .inf}} |
    3:39: training.optimizer.learning_rate | .inf | a finite number above 0
training: {optimizer: {learning_rate: 1e999}} |
    3:39: training.optimizer.learning_rate | .inf | a finite number above 0
data: {train: a, columns: {split: s}, split: {by: row}} |
    2:1: data | split.by: row | `split` has no effect: `columns.split`
data: {train: a, validation: b, test: c, split: {test_fraction: 0.2}} |
    2:1: data | split.by: identity | `split` has no effect: `columns.split`
data: {train: a, validation: b, split: {validation_fraction: 0.2}} |
    2:1: data | 0.2 | `split.validation_fraction` has no effect: `validation`
data: {train: a, rows: items, sampling: {kind: classes, items_per_class: 3}} |
    2:31: data.sampling | 3 | items_per_class must be even, since
data: {train: a, rows: items, sampling: {items_per_class: 4}} |
    2:42: data.sampling.items_per_class | 4 | It belongs to another kind: classes
data: {train: a, kind: sequence, augmentation: {flip: true}} |
    2:49: data.augmentation.flip | true | It belongs to another kind of `data`: image
model: {encoder: {kind: cnn, filters: [8, 2049]}} |
    3:43: model.encoder.filters.1 | 2049 | a whole number from 1 to 2048
model: {encoder: {kind: cnn, filters: [8.0]}} |
    3:40: model.encoder.filters.0 | 8.0 | a whole number from 1 to 2048
model: {encoder: {kind: cnn, filters: [1, 1, 1, 1, 1, 1, 1]}} |
    3:39: model.encoder.filters | [1, 1, 1, 1, 1, 1, 1] | a list of 1 to
callbacks: {activations: {metric_layers: [1]}} |
    3:43: callbacks.activations.metric_layers.0 | 1 | Put it in quotes
"""


def lines_for(conflicts: Complaints, text: str) -> list[str]:
    """The messages for `MINIMAL` with `text` as its `run`, its `data`, or a further section."""
    run, data = MINIMAL.splitlines()
    if text.startswith("run:"):
        run, text = text, ""
    if text.startswith("data:"):
        data, text = text, ""
    return conflicts("\n".join([run, data, text]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "training: {epoch: 3}",
            "3:12: training.epoch: unknown key (got 3). Did you mean 'epochs'?",
        ),
        (
            "training: {optimizer: {kind: adam, momentum: 0.9}}",
            "3:36: training.optimizer.momentum: unknown key (got 0.9). It belongs to another "
            "kind: sgd.",
        ),
        (
            "training: {epochs: 0}",
            "3:20: training.epochs: must be a whole number, at least 1 or null (got 0).",
        ),
        (
            "logging: {level: info}",
            "3:18: logging.level: must be one of DEBUG, INFO, WARNING, ERROR (got 'info'). Did "
            "you mean 'INFO'?",
        ),
    ],
)
def test_the_wording_of_a_message(conflicts: Complaints, text: str, says: str) -> None:
    assert lines_for(conflicts, text) == [f"c.yaml:{says}"]


@pytest.mark.parametrize("row", MISTAKES.replace(" |\n    ", " | ").strip().splitlines())
def test_one_mistake_is_one_line(conflicts: Complaints, row: str) -> None:
    text, place, got, reason = row.split(" | ")
    [line] = lines_for(conflicts, text)
    assert line.startswith(f"c.yaml:{place}: ")
    assert f"(got {got})" in line
    assert reason in line
