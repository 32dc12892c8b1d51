"""Heads, losses and data that do not go together are refused, and the docs say which do."""

import re
from pathlib import Path

import pytest

from job.config.compatibility import HEADS, LOSSES
from job.config.compatibility import complaints as complain
from job.config.heads import CosineConfig, MlpConfig
from job.config.keys import find, kinds_of
from job.config.losses import CircleConfig, TripletConfig
from job.config.model import ModelConfig
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


def test_the_tables_hold_every_kind() -> None:
    assert list(HEADS) == kinds_at("model.head")
    assert list(LOSSES) == kinds_at("training.loss")
    assert all(set(traits.losses) <= set(LOSSES) for traits in HEADS.values())


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
        (loss.strip("`"), sees, classes, re.findall("`([^`]+)`", options))
        for loss, sees, classes, options in table_below("Losses")
    ]
    loss_key = find(("training", "loss"))
    assert loss_key is not None
    assert said == [
        (
            loss,
            "the batch" if traits.is_in_batch else "one pair",
            "yes" if traits.needs_classes else "no",
            [name for name in kinds_of(loss_key.sections)[loss].model_fields if name != "kind"],
        )
        for loss, traits in LOSSES.items()
    ]


def test_every_combination_but_the_ones_in_the_table_is_refused() -> None:
    assert len(REFUSED) == 7 * 6 - (5 + 6 + 5)


@pytest.mark.parametrize(("head", "loss"), REFUSED)
def test_a_loss_that_does_not_train_the_head_is_refused(
    complaints: Complaints, head: str, loss: str
) -> None:
    heads = "cosine" if loss == "circle" else "cosine or euclidean"
    text = f"model: {{head: {{kind: {head}}}}}\ntraining: {{loss: {{kind: {loss}}}}}\n"
    first, *rest = complaints(MINIMAL + text)
    assert first == (
        f"c.yaml:4:25: training.loss.kind: {loss} trains the embeddings through "
        f"model.head.kind: {heads} (got {head}). Set model.head.kind to that, or take the "
        "loss binary_crossentropy, which trains any head."
    )
    assert len(rest) == LOSSES[loss].needs_classes


@pytest.mark.parametrize(
    "loss", [loss for loss, traits in LOSSES.items() if traits.needs_classes]
)
def test_a_loss_on_classes_is_refused_for_pair_files(complaints: Complaints, loss: str) -> None:
    sets = ["model.head.kind=cosine", f"training.loss.kind={loss}"]
    assert complaints(sets=sets) == [
        f"--set training.loss.kind: {loss} compares items by their class, and pair files name "
        f"none (got {loss}). Use data that give each item a class, or one of {FREE}."
    ]


@pytest.mark.parametrize("loss", [TripletConfig(), CircleConfig()])
def test_a_loss_on_classes_is_taken_where_there_are_classes(
    loss: TripletConfig | CircleConfig,
) -> None:
    model, training = ModelConfig(head=CosineConfig()), TrainingConfig(loss=loss)
    assert complain(model, training=training, data=data(rows="items")) == []
    [complaint] = complain(model, training=training, data=data())
    assert complaint.path == ("training", "loss", "kind")


@pytest.mark.parametrize("loss", ["online_contrastive", "multiple_negatives"])
def test_a_batch_of_one_pair_is_refused_where_pairs_are_compared(
    complaints: Complaints, load: Load, loss: str
) -> None:
    text = f"model: {{head: {{kind: cosine}}}}\ntraining: {{loss: {{kind: {loss}}}, "
    assert complaints(f"{MINIMAL}{text}global_batch_size: 1}}") == [
        f"c.yaml:4:{len(text.splitlines()[1]) + 20}: training.global_batch_size: must be at "
        f"least 2 for training.loss.kind: {loss}, which compares the pairs of a batch (got 1). "
        "Raise it; several hundred are usual."
    ]
    assert load(f"{text}global_batch_size: 2}}").config.training.loss.kind == loss


@pytest.mark.parametrize("loss", ["contrastive", "online_contrastive"])
def test_a_margin_no_cosine_reaches_is_refused(
    complaints: Complaints, load: Load, loss: str
) -> None:
    text = f"training: {{loss: {{kind: {loss}, margin: 2.5}}}}\nmodel: {{head: {{kind: "
    [line] = complaints(f"{MINIMAL}{text}cosine}}}}")
    assert line.endswith(
        "training.loss.margin: must be at most 2 for model.head.kind: cosine, whose distance "
        "1 - cos is never larger (got 2.5). Lower it, or take the head euclidean."
    )
    assert load(f"{text}euclidean}}}}").config.model.head.kind == "euclidean"


def test_all_that_does_not_fit_is_said_at_once(complaints: Complaints) -> None:
    sets = ["training.loss.kind=triplet", "training.global_batch_size=1"]
    assert len(complaints(sets=sets)) == 3


def test_pair_losses_fit_any_batch_and_head() -> None:
    training = TrainingConfig(global_batch_size=1)
    assert complain(ModelConfig(head=MlpConfig()), training=training, data=data()) == []
