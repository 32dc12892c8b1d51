"""Exports of untrained models in a folder, by kind of item and head."""

from dataclasses import replace

import numpy as np

from job.config.data import TextDataConfig
from job.config.model import LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.export.writer import export_model
from job.models.siamese import build_siamese
from job.preprocessing.vocabulary import CharacterVocabulary
from job.types import ItemInput
from tests.export import tiny_models as tiny

LETTERS = CharacterVocabulary("abcdefgh")


def write_export(folder, siamese, statistics, golden, facts):
    """The folder `export` below `folder`."""

    def write(name, data):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    export_model(siamese, statistics=statistics, facts=facts, golden=golden, write=write)
    return folder / "export"


def text_export(folder, head, *, threshold=0.5, **data):
    """A model of texts of the letters a to h, with a head of some kind."""
    item = ItemInput("text", "int32", (None,), vocabulary_size=LETTERS.size)
    section = ModelConfig(
        encoder=LstmConfig(units=8, embedding_size=8, dropout=0.0), head={"kind": head}
    )
    siamese = build_siamese(section, training=TrainingConfig(), item=item, seed=3)
    golden = tiny.golden_texts(siamese, LETTERS, ["abc", "h"], ["abd", "gg"])
    facts = replace(
        tiny.facts(siamese, threshold=threshold),
        head=head,
        data=TextDataConfig(train="a.csv", **data),
    )
    return write_export(folder, siamese, LETTERS, golden, facts)


def sequence_export(folder):
    """A model of sequences of two features."""
    siamese = tiny.sequence_model()
    golden = tiny.golden_sequences(siamese, [5, 1, 3], [2, 6, 6])
    return write_export(folder, siamese, tiny.MOMENTS, golden, tiny.facts(siamese))


def image_export(folder):
    """A model of images of 8 x 8 pixels."""
    siamese = tiny.image_model()
    golden = tiny.golden_images(siamese, 3)
    return write_export(folder, siamese, None, golden, tiny.facts(siamese))


def words(num, *, seed=0, length=5):
    """Different words of the letters a to h."""
    random = np.random.default_rng(seed)
    found = {}
    while len(found) < num:
        found["".join(random.choice(list("abcdefgh"), length))] = None
    return list(found)
