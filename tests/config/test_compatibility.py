"""What of encoder, head, loss and data does not go together is refused, as the docs say."""

import re
from pathlib import Path

import pytest

from job.config.compatibility import ENCODERS, HEADS, LOSSES
from job.config.compatibility import conflicts as complain
from job.config.data import TextDataConfig
from job.config.keys import find, kinds_of
from job.config.losses import CircleConfig, TripletConfig
from job.config.model import CosineConfig, MlpConfig, ModelConfig
from job.config.training import TrainingConfig
from tests.config.conftest import MINIMAL, Complaints, Load

DOCS = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
FREE = "binary_crossentropy, contrastive, online_contrastive, multiple_negatives"
REFUSED = [
    (head, loss)
    for head, traits in HEADS.items()
    for loss in LOSSES
    if loss not in traits.losses
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
    assert all(set(traits.losses) <= set(LOSSES) for traits in HEADS.values())
    assert list(ENCODERS) == kinds_at("model.encoder")
    for kind in kinds_at("data"):
        assert any(kind in traits.kinds for traits in ENCODERS.values())


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
            list(traits.losses),
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
            list(traits.kinds),
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
    assert first == (
        f"c.yaml:4:25: training.loss.kind: {loss} trains the embeddings through "
        f"model.head.kind: {heads} (got {head}). Set model.head.kind to that, or take the "
        "loss binary_crossentropy, which trains any head."
    )
    assert len(rest) == LOSSES[loss].needs_classes


@pytest.mark.parametrize(
    "loss", [loss for loss, traits in LOSSES.items() if traits.needs_classes]
)
def test_a_loss_on_classes_is_refused_for_pair_files(conflicts: Complaints, loss: str) -> None:
    sets = ["model.head.kind=cosine", f"training.loss.kind={loss}"]
    assert conflicts(sets=sets) == [
        f"--set training.loss.kind: {loss} compares items by their class, and pair files name "
        f"none (got {loss}). Use data that give each item a class, or one of {FREE}."
    ]


@pytest.mark.parametrize("loss", [TripletConfig(), CircleConfig()])
def test_a_loss_on_classes_is_taken_where_there_are_classes(
    loss: TripletConfig | CircleConfig,
) -> None:
    model, training = ModelConfig(head=CosineConfig()), TrainingConfig(loss=loss)
    items, pairs = TextDataConfig(train="a", rows="items"), TextDataConfig(train="a")
    assert complain(model, training=training, data=items, monitors={}) == []
    [complaint] = complain(model, training=training, data=pairs, monitors={})
    assert complaint.path == ("training", "loss", "kind")


@pytest.mark.parametrize("loss", ["online_contrastive", "multiple_negatives"])
def test_a_batch_of_one_pair_is_refused_where_pairs_are_compared(
    conflicts: Complaints, load: Load, loss: str
) -> None:
    text = f"model: {{head: {{kind: cosine}}}}\ntraining: {{loss: {{kind: {loss}}}, "
    assert conflicts(f"{MINIMAL}{text}global_batch_size: 1}}") == [
        f"c.yaml:4:{len(text.splitlines()[1]) + 20}: training.global_batch_size: must be at "
        f"least 2 for training.loss.kind: {loss}, which compares the pairs of a batch (got 1). "
        "Raise it; several hundred are usual."
    ]
    assert load(f"{text}global_batch_size: 2}}").config.training.loss.kind == loss


@pytest.mark.parametrize(
    "key",
    [
        "callbacks.early_stopping.monitor",
        "callbacks.reduce_learning_rate.monitor",
        "checkpoint.monitor",
    ],
)
def test_accuracy_is_followed_only_where_the_loss_trains_it(
    conflicts: Complaints, load: Load, key: str
) -> None:
    text = "model: {head: {kind: cosine}}\ntraining: {loss: {kind: "
    [line] = conflicts(f"{MINIMAL}{text}contrastive}}}}", sets=[f"{key}=val_accuracy"])
    assert line == (
        f"--set {key}: accuracy counts scores of at least 0.5, and training.loss.kind: "
        "contrastive trains the embeddings and leaves scores at any height (got "
        "val_accuracy). Take val_roc_auc, which looks at their order alone."
    )
    for loss, monitor in (("contrastive", "val_roc_auc"), ("binary_crossentropy", "accuracy")):
        load(f"{text}{loss}}}}}", sets=[f"{key}={monitor}"])


@pytest.mark.parametrize("loss", ["contrastive", "online_contrastive"])
def test_a_margin_no_cosine_reaches_is_refused(
    conflicts: Complaints, load: Load, loss: str
) -> None:
    text = f"training: {{loss: {{kind: {loss}, margin: 2.5}}}}\nmodel: {{head: {{kind: "
    [line] = conflicts(f"{MINIMAL}{text}cosine}}}}")
    assert line.endswith(
        "training.loss.margin: must be at most 2 for model.head.kind: cosine, whose distance "
        "1 - cos is never larger (got 2.5). Lower it, or take the head euclidean."
    )
    assert load(f"{text}euclidean}}}}").config.model.head.kind == "euclidean"


def test_batches_of_classes_are_not_dealt_by_length(conflicts: Complaints) -> None:
    sets = ["data.rows=items", "data.sampling={kind: classes}", "model.head.kind=cosine"]
    sets += ["training.loss.kind=triplet", "training.bucket_window_batches=4"]
    assert conflicts(sets=sets) == [
        "--set training.bucket_window_batches: would take the batches of data.sampling.kind: "
        "classes apart, which hold whole classes and no item twice (got 4). Leave it out."
    ]


def test_pictures_are_not_dealt_by_length(conflicts: Complaints) -> None:
    sets = ["data.kind=image", "data.train=a.csv", "model.encoder.kind=cnn"]
    assert conflicts(sets=[*sets, "training.bucket_window_batches=2"]) == [
        "--set training.bucket_window_batches: has no effect on data.kind: image, whose items "
        "are all of one length (got 2). Leave it out."
    ]


def test_all_that_does_not_fit_is_said_at_once(conflicts: Complaints) -> None:
    sets = ["training.loss.kind=triplet", "training.global_batch_size=1"]
    assert len(conflicts(sets=sets)) == 3


def test_pair_losses_fit_any_batch_and_head() -> None:
    training, data = TrainingConfig(global_batch_size=1), TextDataConfig(train="a")
    assert (
        complain(ModelConfig(head=MlpConfig()), training=training, data=data, monitors={}) == []
    )


# Of the configuration behind `run`: what is refused, and why.
SIZE = "Raise it, or take another encoder."
ENCODER_REFUSALS = {
    "data: {kind: image, train: a}": (
        "model.encoder.kind: lstm takes data.kind: text or sequence (got image). For image set "
        "it to cnn or xception."
    ),
    "data: {train: a}\nmodel: {encoder: {kind: cnn}}": (
        "model.encoder.kind: cnn takes data.kind: image (got text). For text set it to lstm."
    ),
    "data: {kind: sequence, train: a}\nmodel: {encoder: {kind: xception}}": (
        "model.encoder.kind: xception takes data.kind: image (got sequence). For sequence set "
        "it to lstm."
    ),
    "data: {kind: image, train: a, size: 70}\nmodel: {encoder: {kind: xception}}": (
        f"data.size: must be at least 71 for model.encoder.kind: xception (got 70). {SIZE}"
    ),
    "data: {kind: image, train: a}\nmodel: {encoder: {kind: xception}}": (
        f"data.size: must be at least 71 for model.encoder.kind: xception (got 64). {SIZE}"
    ),
    "data: {kind: image, train: a, size: 31}\n"
    "model: {encoder: {kind: cnn, filters: [8, 8, 8, 8, 8]}}": (
        "data.size: must be at least 32 for model.encoder.kind: cnn, whose 5 filters halve a "
        f"picture as many times (got 31). {SIZE}"
    ),
    "data: {kind: sequence, train: a}\nmodel: {encoder: {embedding_size: 8}}": (
        "model.encoder.embedding_size: has no effect on data.kind: sequence, whose items are "
        "vectors already (got 8). Leave it out; `units` decides the size of the embedding."
    ),
}


@pytest.mark.parametrize(("text", "says"), ENCODER_REFUSALS.items())
def test_an_encoder_that_does_not_take_the_items_is_refused(
    conflicts: Complaints, text: str, says: str
) -> None:
    [line] = conflicts(f"run: {{name: a}}\n{text}")
    assert line.partition(": ")[2] == says


@pytest.mark.parametrize(
    "text",
    [
        "data: {kind: sequence, train: a}",
        "data: {kind: sequence, train: a}\nmodel: {encoder: {embedding_size: 32}}",
        "data: {kind: image, train: a, size: 8}\nmodel: {encoder: {kind: cnn}}",
        "data: {kind: image, train: a, size: 32}\n"
        "model: {encoder: {kind: cnn, filters: [8, 8, 8, 8, 8]}}",
        "data: {kind: image, train: a, size: 71}\nmodel: {encoder: {kind: xception}}",
    ],
)
def test_an_encoder_that_takes_the_items_is_taken(load: Load, text: str) -> None:
    data, _, model = text.partition("\n")
    sets = [line.replace(": ", "=", 1) for line in (data, model) if line]
    assert load(sets=sets).config.data.kind in text


CLASS_SAMPLING = "data: {train: a, rows: items, sampling: {kind: classes}}"
NO_NEGATIVES = ("binary_crossentropy", "contrastive", "online_contrastive")


def test_only_losses_that_learn_from_matches_alone_need_no_negatives() -> None:
    needing = [loss for loss, traits in LOSSES.items() if traits.needs_negatives]
    assert needing == list(NO_NEGATIVES)


@pytest.mark.parametrize("loss", NO_NEGATIVES)
def test_a_loss_that_needs_pairs_that_do_not_match_is_refused_where_none_are_drawn(
    conflicts: Complaints, loss: str
) -> None:
    model = f"model: {{head: {{kind: cosine}}}}\ntraining: {{loss: {{kind: {loss}}}}}"
    [line] = conflicts(f"run: {{name: a}}\n{CLASS_SAMPLING}\n{model}")
    assert line == (
        f"c.yaml:4:25: training.loss.kind: {loss} learns from pairs that match and pairs that "
        f"do not, and data.sampling.kind: classes draws only the former (got {loss}). Set "
        "data.sampling.kind to pairs, or use one of triplet, multiple_negatives, circle."
    )


@pytest.mark.parametrize("loss", ["triplet", "multiple_negatives", "circle"])
def test_a_loss_that_learns_from_matches_alone_is_taken_with_classes(
    load: Load, loss: str
) -> None:
    sets = [CLASS_SAMPLING.replace(": ", "=", 1), "model.head.kind=cosine"]
    loaded = load(sets=[*sets, f"training.loss.kind={loss}"])
    assert loaded.config.data.sampling_or_default.kind == "classes"


@pytest.mark.parametrize("loss", NO_NEGATIVES)
def test_such_a_loss_is_taken_where_pairs_are_drawn_one_by_one(load: Load, loss: str) -> None:
    sets = ["data={train: a, rows: items}", "model.head.kind=cosine"]
    loaded = load(sets=[*sets, f"training.loss.kind={loss}"])
    assert loaded.config.data.sampling_or_default.kind == "pairs"


@pytest.mark.parametrize(
    ("per_class", "batch", "is_refused"),
    [
        (2, 256, False),
        (4, 256, False),
        (256, 256, False),  # two classes
        (512, 256, True),  # a single one
        (514, 256, True),
        (6, 256, True),  # 512 / 6 is no whole number
        (6, 255, False),
        (2, 2, False),
        (4, 2, True),
    ],
)
def test_a_batch_holds_whole_classes_and_more_than_one(
    conflicts: Complaints, load: Load, per_class: int, batch: int, is_refused: bool
) -> None:
    sampling = f"{{kind: classes, items_per_class: {per_class}}}"
    sets = [
        f"data={{train: a, rows: items, sampling: {sampling}}}",
        "model.head.kind=cosine",
        "training.loss.kind=multiple_negatives",
        f"training.global_batch_size={batch}",
    ]
    if not is_refused:
        load(sets=sets)
        return
    assert conflicts(sets=sets) == [
        "--set data: data.sampling.items_per_class: must divide 2 * training.global_batch_size "
        f"= {2 * batch} at least twice, so that a batch holds whole classes and more than one "
        f"(got {per_class}). Choose a divisor, or another batch size."
    ]
