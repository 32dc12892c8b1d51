"""What of encoder, head, loss and data does not go together is refused, as the docs say."""

import re
from pathlib import Path

import pytest

from job.config.keys import find, kinds_of
from job.config.losses import LOSSES
from job.config.model import ENCODERS, HEADS
from tests.config.conftest import MINIMAL, Complaints, Load

DOCS = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
FREE = "binary_crossentropy, contrastive, online_contrastive, multiple_negatives"
REFUSED = [
    (head, loss) for head in HEADS for loss, traits in LOSSES.items() if not traits.trains(head)
]


def table_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its first two lines."""
    section = DOCS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def kinds_at(path: str) -> list[str]:
    key = find(tuple(path.split(".")))
    assert key is not None
    return list(kinds_of(key.sections))


def options_at(path: str, *, kind: str) -> list[str]:
    key = find(tuple(path.split(".")))
    assert key is not None
    return [name for name in kinds_of(key.sections)[kind].model_fields if name != "kind"]


def test_the_tables_hold_every_kind() -> None:
    assert list(HEADS) == kinds_at("model.head")
    assert list(LOSSES) == kinds_at("training.loss")
    assert all(set(traits.heads) <= set(HEADS) for traits in LOSSES.values())
    assert list(ENCODERS) == kinds_at("model.encoder")
    for kind in kinds_at("data"):
        assert any(kind in traits.data_kinds for traits in ENCODERS.values())


def test_the_docs_show_the_table_of_heads() -> None:
    said = {
        head.strip("`"): (symmetric, similarity, re.findall("`([^`]+)`", losses))
        for head, _, symmetric, similarity, losses in table_below("Heads")
    }
    words = {True: "yes", False: "no"}
    assert said == {
        head: (
            words[traits.is_symmetric],
            words[traits.expresses_similarity],
            [loss for loss in LOSSES if LOSSES[loss].trains(head)],
        )
        for head, traits in HEADS.items()
    }


def test_the_docs_show_the_table_of_losses() -> None:
    said = [
        (loss.strip("`"), sees, classes, others, re.findall("`([^`]+)`", options))
        for loss, sees, classes, others, options in table_below("Losses")
    ]
    assert said == [
        (
            loss,
            "the batch" if traits.is_in_batch else "one pair",
            "yes" if traits.needs_classes else "no",
            "yes" if traits.needs_negatives else "no",
            options_at("training.loss", kind=loss),
        )
        for loss, traits in LOSSES.items()
    ]


def test_the_docs_show_the_table_of_encoders() -> None:
    said = [
        (
            encoder.strip("`"),
            re.findall("`([^`]+)`", kinds),
            size,
            re.findall("`([^`]+)`", options),
        )
        for encoder, kinds, size, _, options in table_below("Encoders")
    ]
    assert said == [
        (
            encoder,
            list(traits.data_kinds),
            str(traits.min_size or "-"),
            options_at("model.encoder", kind=encoder),
        )
        for encoder, traits in ENCODERS.items()
    ]


def test_every_combination_but_the_ones_in_the_table_is_refused() -> None:
    assert len(REFUSED) == 7 * 6 - (5 + 6 + 5)


@pytest.mark.parametrize(("head", "loss"), REFUSED)
def test_a_loss_that_does_not_train_the_head_is_refused(
    conflicts: Complaints, head: str, loss: str
) -> None:
    heads = "cosine" if loss == "circle" else "cosine or euclidean"
    text = f"model: {{head: {{kind: {head}}}}}\ntraining: {{loss: {{kind: {loss}}}}}\n"
    first, *rest = conflicts(MINIMAL + text)
    assert first.startswith(f"c.yaml:4:25: training.loss.kind: {loss} ")
    assert f"model.head.kind: {heads} (got {head})" in first
    assert len(rest) == LOSSES[loss].needs_classes


ITEMS = "data: {train: a, rows: items}"
CLASSES = "data: {train: a, rows: items, sampling: {kind: classes}}"
IMAGES = "data: {kind: image, train: a}"
COSINE = "model: {head: {kind: cosine}}"


def with_loss(loss: str, more: str = "", *, data: str = "data: {train: a}") -> str:
    """Data, the cosine head and a loss; `more` are further keys of `training`."""
    return f"{data}\n{COSINE}\ntraining: {{loss: {{kind: {loss}}}{more}}}"


def with_encoder(encoder: str, *, data: str) -> str:
    return f"data: {{train: a, {data}}}\nmodel: {{encoder: {{{encoder}}}}}"


def with_classes_of(items: int, *, batch: int) -> str:
    data = CLASSES.replace("classes", f"classes, items_per_class: {items}")
    return with_loss("multiple_negatives", f", global_batch_size: {batch}", data=data)


def with_margin(head: str, loss: str) -> str:
    return (
        f"data: {{train: a}}\nmodel: {{head: {{kind: {head}}}}}\n"
        f"training: {{loss: {{kind: {loss}, margin: 2.5}}}}"
    )


FIVE_FILTERS = "kind: cnn, filters: [8, 8, 8, 8, 8]"
# The sections after `run` -> the key to change, what was received, and the reason.
CONFLICTS = {
    with_loss("triplet"): ("training.loss.kind", "triplet", "no classes"),
    with_loss("circle"): ("training.loss.kind", "circle", "no classes"),
    with_loss("online_contrastive", ", global_batch_size: 1"): (
        "training.global_batch_size",
        "1",
        "at least 2 for training.loss.kind: online_contrastive",
    ),
    with_loss("multiple_negatives", ", global_batch_size: 1"): (
        "training.global_batch_size",
        "1",
        "at least 2 for training.loss.kind: multiple_negatives",
    ),
    with_margin("cosine", "contrastive"): ("training.loss.margin", "2.5", "at most 2 for"),
    with_margin("cosine", "online_contrastive"): ("training.loss.margin", "2.5", "at most 2"),
    with_margin("cosine", "triplet").replace("data: {train: a}", ITEMS): (
        "training.loss.margin",
        "2.5",
        "at most 2 for",
    ),
    with_loss("triplet", ", bucket_window_batches: 4", data=CLASSES): (
        "training.bucket_window_batches",
        "4",
        "data.sampling.kind: classes",
    ),
    f"{IMAGES}\nmodel: {{encoder: {{kind: cnn}}}}\ntraining: {{bucket_window_batches: 2}}": (
        "training.bucket_window_batches",
        "2",
        "no effect on data.kind: image",
    ),
    IMAGES: ("model.encoder.kind", "image", "lstm takes data.kind: text or sequence"),
    with_encoder("kind: cnn", data="kind: text"): (
        "model.encoder.kind",
        "text",
        "cnn takes data.kind: image",
    ),
    with_encoder("kind: xception", data="kind: sequence"): (
        "model.encoder.kind",
        "sequence",
        "xception takes data.kind: image",
    ),
    with_encoder("kind: xception", data="kind: image, size: 70"): (
        "data.size",
        "70",
        "at least 71 for model.encoder.kind: xception",
    ),
    with_encoder("kind: xception", data="kind: image"): ("data.size", "64", "at least 71"),
    with_encoder(FIVE_FILTERS, data="kind: image, size: 31"): (
        "data.size",
        "31",
        "at least 32 for model.encoder.kind: cnn, whose 5 filters",
    ),
    with_encoder("embedding_size: 8", data="kind: sequence"): (
        "model.encoder.embedding_size",
        "8",
        "no effect on data.kind: sequence",
    ),
    with_loss("binary_crossentropy", data=CLASSES): (
        "training.loss.kind",
        "binary_crossentropy",
        "triplet, multiple_negatives, circle",
    ),
    with_loss("contrastive", data=CLASSES): (
        "training.loss.kind",
        "contrastive",
        "triplet, multiple_negatives, circle",
    ),
    with_loss("online_contrastive", data=CLASSES): (
        "training.loss.kind",
        "online_contrastive",
        "triplet, multiple_negatives, circle",
    ),
    # 512 items in a batch of 256 pairs: one class only, or no whole number of classes.
    with_classes_of(512, batch=256): ("data.sampling.items_per_class", "512", "= 512 at"),
    with_classes_of(514, batch=256): ("data.sampling.items_per_class", "514", "= 512 at"),
    with_classes_of(6, batch=256): ("data.sampling.items_per_class", "6", "= 512 at"),
    with_classes_of(4, batch=2): ("data.sampling.items_per_class", "4", "= 4 at"),
    with_loss("contrastive", ", per_replica_micro_batch_size: 256"): (
        "training.per_replica_micro_batch_size",
        "256",
        "smaller than training.global_batch_size: 256",
    ),
    with_encoder("kind: xception", data="kind: image, size: 71")
    + "\ntraining: {per_replica_micro_batch_size: 8}": (
        "training.per_replica_micro_batch_size",
        "8",
        "model.encoder.kind: xception, which normalises",
    ),
}


@pytest.mark.parametrize(("text", "says"), CONFLICTS.items())
def test_settings_that_do_not_go_together_are_refused(
    conflicts: Complaints, text: str, says: tuple[str, str, str]
) -> None:
    key, got, reason = says
    [line] = conflicts(f"run: {{name: a}}\n{text}")
    assert line.split(": ")[1] == key
    assert f"(got {got})" in line
    assert reason in line


@pytest.mark.parametrize(
    "text",
    [
        with_loss("triplet", data=ITEMS),
        with_loss("triplet", ", per_replica_micro_batch_size: 255", data=ITEMS),
        with_loss("circle", data=ITEMS),
        with_loss("online_contrastive", ", global_batch_size: 2"),
        with_loss("multiple_negatives", ", global_batch_size: 2"),
        with_margin("euclidean", "contrastive"),
        with_margin("euclidean", "online_contrastive"),
        "data: {train: a}\nmodel: {head: {kind: mlp}}\ntraining: {global_batch_size: 1}",
        "data: {kind: sequence, train: a}",
        with_encoder("embedding_size: 32", data="kind: sequence"),
        with_encoder("kind: cnn", data="kind: image, size: 8"),
        with_encoder(FIVE_FILTERS, data="kind: image, size: 32"),
        with_encoder("kind: xception", data="kind: image, size: 71"),
        with_loss("binary_crossentropy", data=ITEMS),
        with_loss("contrastive", data=ITEMS),
        with_loss("online_contrastive", data=ITEMS),
        with_loss("triplet", data=CLASSES),
        with_loss("multiple_negatives", data=CLASSES),
        with_loss("circle", data=CLASSES),
        with_classes_of(2, batch=256),
        with_classes_of(256, batch=256),  # two classes
        with_classes_of(6, batch=255),
        with_classes_of(2, batch=2),
    ],
)
def test_settings_that_go_together_are_accepted(load: Load, text: str) -> None:
    load(sets=[line.replace(": ", "=", 1) for line in text.splitlines()])


@pytest.mark.parametrize(
    "key",
    [
        "callbacks.early_stopping.monitor",
        "callbacks.reduce_learning_rate.monitor",
        "checkpoint.monitor",
    ],
)
def test_accuracy_is_monitored_only_where_the_loss_trains_it(
    conflicts: Complaints, load: Load, key: str
) -> None:
    text = f"{COSINE}\ntraining: {{loss: {{kind: "
    [line] = conflicts(f"{MINIMAL}{text}contrastive}}}}", sets=[f"{key}=val_accuracy"])
    assert line.startswith(f"--set {key}: ")
    assert "(got val_accuracy)" in line
    for loss, monitor in (("contrastive", "val_roc_auc"), ("binary_crossentropy", "accuracy")):
        load(f"{text}{loss}}}}}", sets=[f"{key}={monitor}"])


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        ([], "model.head.kind: abs_diff_product has no distance to search by"),
        (
            ["model.head.kind=cosine", "evaluation.retrieval_queries=0"],
            "evaluation.retrieval_queries: 0 searches for nothing",
        ),
    ],
)
def test_a_search_is_monitored_only_where_there_is_one(
    conflicts: Complaints, load: Load, sets: list[str], reason: str
) -> None:
    monitor = "callbacks.early_stopping.monitor=val_recall_at_1"
    [line] = conflicts(sets=[*sets, monitor])
    assert reason in line
    assert "(got val_recall_at_1)" in line
    load(sets=["model.head.kind=euclidean", monitor])


def test_a_search_is_configured_only_for_a_head_with_a_distance(
    conflicts: Complaints, load: Load
) -> None:
    [line] = conflicts(sets=["evaluation.retrieval_queries=50"])
    assert "--set evaluation.retrieval_queries: has no effect on model.head.kind" in line
    assert "Leave it out, or use the head cosine or euclidean" in line
    load(sets=["evaluation.retrieval_queries=0"])
    load(sets=["model.head.kind=cosine", "evaluation.retrieval_queries=50"])


def test_all_conflicts_are_reported_at_once(conflicts: Complaints) -> None:
    sets = ["training.loss.kind=triplet", "training.global_batch_size=1"]
    assert len(conflicts(sets=sets)) == 3


def test_a_decay_ends_behind_the_warm_up(conflicts: Complaints, load: Load) -> None:
    text = "training: {schedule: {kind: cosine, warmup_steps: 9, decay_steps: %d}}"
    [line] = conflicts(MINIMAL + text % 9)
    assert "training.schedule: `decay_steps` includes `warmup_steps`" in line
    assert "(got decay_steps: 9, warmup_steps: 9)" in line
    load(text % 10)


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_encoder_has_a_form_for_inference(kind: str) -> None:
    options = {"xception": {"gradient_checkpointing": True}}.get(kind, {"dropout": 0.5})
    encoder = ENCODERS[kind](**options)
    plain = encoder.for_inference()
    assert type(plain) is type(encoder)
    assert plain == ENCODERS[kind]()
