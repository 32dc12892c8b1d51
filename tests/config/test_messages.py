"""Each mistake a configuration file can hold, and the line it gets, word for word."""

import pytest

from tests.config.conftest import MINIMAL, Complaints

NAME_RULE = (
    "must be 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end"
)
MONITORS = "loss, accuracy, val_loss, val_accuracy, val_roc_auc, val_average_precision, val_eer"
SECTIONS = (
    "run, data, model, training, callbacks, checkpoint, distribution, evaluation, export, "
    "metrics, logging"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        # Keys that are not there.
        (
            "training: {epoch: 3}",
            "3:12: training.epoch: unknown key (got 3). Did you mean 'epochs'?",
        ),
        (
            "training: {Epochs: 3}",
            "3:12: training.Epochs: unknown key (got 3). Did you mean 'epochs'?",
        ),
        (
            "training: {batch_size: 3}",
            "3:12: training.batch_size: unknown key (got 3). Did you mean 'global_batch_size'?",
        ),
        (
            "model: {units: 3}",
            "3:9: model.units: unknown key (got 3). Did you mean 'model.encoder.units' or "
            "'model.head.units'?",
        ),
        (
            "optimizer: {kind: adam}",
            "3:1: optimizer: unknown key (got {kind: adam}). Did you mean "
            "'training.optimizer'?",
        ),
        (
            "export: {kind: x}",
            "3:10: export.kind: unknown key (got 'x'). Did you mean 'data.kind' or "
            "'data.sampling.kind' or 'data.tokens.kind'?",
        ),
        (
            "training: {optimizer: {kind: adam, momentum: 0.9}}",
            "3:36: training.optimizer.momentum: unknown key (got 0.9). It belongs to another "
            "kind: sgd.",
        ),
        (
            "training.epochs: 3",
            "3:1: 'training.epochs': unknown key (got 3). Keys are nested: write `epochs` in "
            "the section `training`.",
        ),
        (
            "logging: {level:INFO}",
            "3:11: logging.'level:INFO': unknown key (got null). A blank is missing after the "
            "colon: write `level: INFO`.",
        ),
        ("zzzzz: 1", f"3:1: zzzzz: unknown key (got 1). Known keys here: {SECTIONS}."),
        (
            "callbacks: {custom: [{target: 'a:B', args: 1}]}",
            "3:38: callbacks.custom.0.args: unknown key (got 1). Did you mean 'arguments'?",
        ),
        # Types.
        (
            "training: {epochs: '3'}",
            "3:20: training.epochs: must be a whole number, at least 1 (got '3'). Write 3, "
            "without quotes or underscores.",
        ),
        (
            "training: {epochs: 1_000}",
            "3:20: training.epochs: must be a whole number, at least 1 (got '1_000'). Write "
            "1000, without quotes or underscores.",
        ),
        (
            f"training: {{epochs: '{'1' * 101}'}}",
            f"3:20: training.epochs: must be a whole number, at least 1 (got '{'1' * 76}...).",
        ),
        (
            "training: {epochs: 1e3}",
            "3:20: training.epochs: must be a whole number, at least 1 (got 1000.0). Write "
            "1000, without a point or an exponent.",
        ),
        (
            "training: {epochs: 2.5}",
            "3:20: training.epochs: must be a whole number, at least 1 (got 2.5).",
        ),
        (
            "training: {epochs: yes}",
            "3:20: training.epochs: must be a whole number, at least 1 (got 'yes').",
        ),
        (
            "training: {epochs: true}",
            "3:20: training.epochs: must be a whole number, at least 1 (got true).",
        ),
        (
            "training: {epochs: [3]}",
            "3:20: training.epochs: must be a whole number, at least 1 (got [3]).",
        ),
        (
            "training: {epochs: }",
            "3:19: training.epochs: must be a whole number, at least 1 (got null). Leave the "
            "key out for its default, 10.",
        ),
        (
            "data: {train: 2026}",
            "2:15: data.train: must be text that is not empty (got 2026). Put it in quotes to "
            "make it text.",
        ),
        (
            "data: {train: false}",
            "2:15: data.train: must be text that is not empty (got false). Put it in quotes to "
            "make it text.",
        ),
        ("data: {train: }", "2:14: data.train: must be text that is not empty (got null)."),
        ("data: {train: ''}", "2:15: data.train: must be text that is not empty (got '')."),
        (
            "metrics: {enabled: no}",
            "3:20: metrics.enabled: must be true or false (got 'no'). YAML 1.2 reads \"no\" as "
            "text: write false.",
        ),
        (
            "metrics: {enabled: On}",
            "3:20: metrics.enabled: must be true or false (got 'On'). YAML 1.2 reads \"On\" as "
            "text: write true.",
        ),
        (
            "metrics: {enabled: 'true'}",
            "3:20: metrics.enabled: must be true or false (got 'true'). Write true without "
            "quotes.",
        ),
        ("metrics: {enabled: 1}", "3:20: metrics.enabled: must be true or false (got 1)."),
        (
            "metrics: {linger_seconds: 1s}",
            "3:27: metrics.linger_seconds: must be a number from 0 to 3600 (got '1s').",
        ),
        ("training: 3", "3:11: training: must be a section with keys of its own (got 3)."),
        (
            "training:",
            "3:10: training: must be a section with keys of its own (got null). Give it a key, "
            "or leave the section out.",
        ),
        (
            "training: {optimizer: adam}",
            "3:23: training.optimizer: must be a section with keys of its own (got 'adam').",
        ),
        (
            "callbacks: {early_stopping: true}",
            "3:29: callbacks.early_stopping: must be a section with keys of its own or null "
            "(got true).",
        ),
        (
            "callbacks: {custom: {target: 'a:B'}}",
            '3:21: callbacks.custom: must be a list (got {target: "a:B"}). Begin each entry '
            "with `- `.",
        ),
        (
            "callbacks: {custom: [5]}",
            "3:22: callbacks.custom.0: must be a section with keys of its own (got 5).",
        ),
        (
            "callbacks: {custom: [{target: 'a:B', arguments: 5}]}",
            "3:49: callbacks.custom.0.arguments: must be a mapping (got 5).",
        ),
        (
            "callbacks: {custom: [{target: 'a:B', arguments: {x: {dict: [1, .nan]}}}]}",
            "3:64: callbacks.custom.0.arguments.x.dict.1: must be a finite number (got .nan).",
        ),
        # Bounds.
        (
            "training: {epochs: 0}",
            "3:20: training.epochs: must be a whole number, at least 1 (got 0).",
        ),
        (
            "metrics: {port: 65536}",
            "3:17: metrics.port: must be a whole number from 0 to 65535 (got 65536).",
        ),
        (
            "model: {encoder: {dropout: 1}}",
            "3:28: model.encoder.dropout: must be a number, at least 0 and below 1 (got 1).",
        ),
        (
            "training: {optimizer: {learning_rate: 0}}",
            "3:39: training.optimizer.learning_rate: must be a number above 0 (got 0).",
        ),
        (
            "training: {optimizer: {learning_rate: .inf}}",
            "3:39: training.optimizer.learning_rate: must be a finite number above 0 (got "
            ".inf).",
        ),
        (
            "training: {optimizer: {learning_rate: 1e999}}",
            "3:39: training.optimizer.learning_rate: must be a finite number above 0 (got "
            ".inf).",
        ),
        # Rules and choices.
        ("run: {name: My_Run}", f"1:13: run.name: {NAME_RULE} (got 'My_Run')."),
        (
            "run: {name: 12}",
            f"1:13: run.name: {NAME_RULE} (got 12). Put it in quotes to make it text.",
        ),
        (
            "distribution: {devices: tpu}",
            "3:25: distribution.devices: must be auto, cpu, gpu, cpu:N or gpu:N with N from 1 "
            "to 999 (got 'tpu').",
        ),
        (
            "callbacks: {custom: [{target: foo}]}",
            "3:31: callbacks.custom.0.target: must be `module:Class`, as in "
            "`my_callbacks:Ring` (got 'foo').",
        ),
        (
            "logging: {level: info}",
            "3:18: logging.level: must be one of DEBUG, INFO, WARNING, ERROR (got 'info'). Did "
            "you mean 'INFO'?",
        ),
        (
            "logging: {level: false}",
            "3:18: logging.level: must be one of DEBUG, INFO, WARNING, ERROR (got false).",
        ),
        (
            "model: {encoder: {kind: ltsm}}",
            "3:25: model.encoder.kind: must be one of lstm, cnn, xception (got 'ltsm'). Did "
            "you mean 'lstm'?",
        ),
        (
            "training: {optimizer: {kind: adm}}",
            "3:30: training.optimizer.kind: must be one of adam, rmsprop, sgd (got 'adm'). Did "
            "you mean 'adam'?",
        ),
        (
            "training: {optimizer: {kind: }}",
            "3:29: training.optimizer.kind: must be one of adam, rmsprop, sgd (got null).",
        ),
        (
            "checkpoint: {monitor: val_acc}",
            f"3:23: checkpoint.monitor: must be one of {MONITORS} (got 'val_acc'). Did you "
            "mean 'val_accuracy'?",
        ),
        (
            "checkpoint: {monitor: 3}",
            f"3:23: checkpoint.monitor: must be one of {MONITORS} (got 3).",
        ),
        # Combinations, at the section they belong to.
        (
            "data: {train: a, columns: {left: a, right: a}}",
            "2:18: data.columns: each column needs a name of its own (got a, a, label).",
        ),
        (
            "data: {train: a, split: {test_fraction: 0.95}}",
            "2:18: data.split: validation_fraction + test_fraction must stay below 1 (got 0.1 "
            "+ 0.95).",
        ),
        (
            "data: {train: a, split: {by: group}}",
            "2:1: data: `split.by: group` needs `columns.group` (got null): name the column "
            "that says what a row belongs to.",
        ),
        (
            "data: {train: a, columns: {split: s}, split: {by: row}}",
            "2:1: data: `split` has no effect: `columns.split`, or files of their own, say "
            "what validation and test are (got split.by: row): leave `split` out.",
        ),
        (
            "data: {train: a, validation: b, test: c, split: {test_fraction: 0.2}}",
            "2:1: data: `split` has no effect: `columns.split`, or files of their own, say "
            "what validation and test are (got split.by: identity): leave `split` out.",
        ),
        (
            "data: {train: a, validation: b, split: {validation_fraction: 0.2}}",
            "2:1: data: `split.validation_fraction` has no effect: `validation` is a file of "
            "its own (got 0.2): leave one of the two out.",
        ),
        (
            "data: {train: a, columns: {group: g}}",
            "2:1: data: `columns.group` has no effect: it says what `split.by: group` keeps "
            "together, and is held against `columns.split` where there is one (got "
            "columns.group: g): set one of these, or leave it out.",
        ),
        (
            "data: {train: a, columns: {split: s}, test: b}",
            "2:1: data: `columns.split` says which split a row of `train` belongs to, so "
            "`test` cannot be a file of its own (got test: b): leave one of the two out.",
        ),
        (
            "data: {train: a, rows: items, items: b}",
            "2:1: data: `items` is for pair files that hold ids; with `rows: items` the files "
            "hold the items themselves (got items: b): leave `items` out.",
        ),
        (
            "data: {train: a, sampling: {}}",
            "2:1: data: `sampling` has no effect on `rows: pairs`, whose files are the pairs "
            "(got sampling.kind: pairs): leave it out, or set `rows: items`.",
        ),
        (
            "data: {train: a, rows: items, sampling: {kind: classes, items_per_class: 3}}",
            "2:31: data.sampling: items_per_class must be even, since two items of a class "
            "make a pair (got 3).",
        ),
        # Keys of other kinds.
        (
            "data: {train: a, size: 64}",
            "2:18: data.size: unknown key (got 64). It belongs to another kind: image.",
        ),
        (
            "data: {train: a, rows: items, sampling: {items_per_class: 4}}",
            "2:42: data.sampling.items_per_class: unknown key (got 4). It belongs to another "
            "kind: classes.",
        ),
        (
            "data: {train: a, kind: sequence, augmentation: {flip: true}}",
            "2:49: data.augmentation.flip: unknown key (got true). It belongs to another kind "
            "of `data`: image.",
        ),
        # Entries of a list of plain values.
        (
            "model: {encoder: {kind: cnn, filters: [0]}}",
            "3:40: model.encoder.filters.0: must be a whole number from 1 to 2048 (got 0).",
        ),
        (
            "model: {encoder: {kind: cnn, filters: [8, 2049]}}",
            "3:43: model.encoder.filters.1: must be a whole number from 1 to 2048 (got 2049).",
        ),
        (
            "model: {encoder: {kind: cnn, filters: [8.0]}}",
            "3:40: model.encoder.filters.0: must be a whole number from 1 to 2048 (got 8.0). "
            "Write 8, without a point or an exponent.",
        ),
        (
            "model: {encoder: {kind: cnn, filters: []}}",
            "3:39: model.encoder.filters: must be a list of 1 to 6 entries, each a whole "
            "number from 1 to 2048 (got []).",
        ),
        (
            "model: {encoder: {kind: cnn, filters: [1, 1, 1, 1, 1, 1, 1]}}",
            "3:39: model.encoder.filters: must be a list of 1 to 6 entries, each a whole "
            "number from 1 to 2048 (got [1, 1, 1, 1, 1, 1, 1]).",
        ),
        (
            "callbacks: {activations: {metric_layers: [1]}}",
            "3:43: callbacks.activations.metric_layers.0: must be text (got 1). Put it in "
            "quotes to make it text.",
        ),
    ],
)
def test_one_mistake_is_one_line(conflicts: Complaints, text: str, says: str) -> None:
    run, data = MINIMAL.splitlines()
    if text.startswith("run:"):
        run, text = text, ""
    if text.startswith("data:"):
        data, text = text, ""
    assert conflicts("\n".join([run, data, text])) == [f"c.yaml:{says}"]
