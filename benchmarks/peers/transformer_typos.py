"""The text example with sentence-transformers: a small transformer over characters.

    .venv-bench/bin/python -m benchmarks.peers.transformer_typos [--variant NAME]

The model has about as many weights as that of examples/text.yaml and starts from random ones:
nothing is downloaded. Prints the ROC-AUC on validation during training, until it is killed.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Read when the libraries are imported: nothing is fetched.
os.environ["HF_HUB_OFFLINE"] = "1"

from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer import modules as models
from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from benchmarks.peers.typos import read_pairs, report

LONGEST = 64
EPOCHS = 60


@dataclass(frozen=True)
class Variant:
    """What is trained, and how.

    Attributes:
        loss: From `losses`.
        positives_only: Whether it learns from matching pairs alone.
        size: Of the hidden states.
        layers: Of the transformer.
        batch: Pairs in a step.
        learning_rate: Of AdamW.
        evaluate_steps: Steps between two evaluations.
    """

    loss: Callable[[SentenceTransformer], Any]
    positives_only: bool = False
    size: int = 48
    layers: int = 2
    batch: int = 256
    learning_rate: float = 0.003
    evaluate_steps: int = 155


def _ranking(model: SentenceTransformer) -> Any:
    return losses.MultipleNegativesRankingLoss(model, scale=20.0)


VARIANTS: Mapping[str, Variant] = {
    "ContrastiveLoss": Variant(losses.ContrastiveLoss),
    "OnlineContrastiveLoss": Variant(losses.OnlineContrastiveLoss),
    "CoSENTLoss": Variant(losses.CoSENTLoss),
    "MultipleNegativesRankingLoss": Variant(_ranking, positives_only=True, evaluate_steps=77),
    "MultipleNegativesRankingLoss, 1 layer": Variant(
        _ranking, positives_only=True, layers=1, evaluate_steps=77
    ),
}


class Validation(SentenceEvaluator):
    """Reports the ROC-AUC of the cosine."""

    def __init__(self) -> None:
        super().__init__()
        self._left, self._right, self._label = read_pairs("validation")
        self._texts = sorted({*self._left, *self._right})

    def __call__(self, model: SentenceTransformer, *_: Any, **__: Any) -> dict[str, float]:
        """Encodes each text once."""
        vectors = model.encode(
            self._texts, batch_size=512, normalize_embeddings=True, show_progress_bar=False
        )
        row = {text: number for number, text in enumerate(self._texts)}
        left = vectors[[row[text] for text in self._left]]
        right = vectors[[row[text] for text in self._right]]
        report(self._label, np.sum(left * right, axis=1))
        return {}


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """Each character is a token."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1}
    for character in sorted(set("".join(texts))):
        vocabulary[character] = len(vocabulary)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)"), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_max_length=LONGEST,
    )


def transformer(texts: list[str], *, variant: Variant) -> SentenceTransformer:
    """A small BERT with random weights, and the mean of its states."""
    tokenizer = tokenizer_of(texts)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=variant.size,
        num_hidden_layers=variant.layers,
        num_attention_heads=4,
        intermediate_size=2 * variant.size,
        max_position_embeddings=LONGEST,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with tempfile.TemporaryDirectory(prefix="siamese-transformer-") as folder:
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        encoder = models.Transformer(folder, max_seq_length=LONGEST)
    return SentenceTransformer(modules=[encoder, models.Pooling(variant.size)], device="cpu")


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description="Trains on the typos with its trainer.")
    parser.add_argument("--variant", choices=VARIANTS, default="MultipleNegativesRankingLoss")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    variant = VARIANTS[arguments.variant]
    left, right, label = read_pairs("train")
    columns: dict[str, Any] = {"left": left, "right": right, "label": label.astype(int)}
    if variant.positives_only:
        matches = np.flatnonzero(label).tolist()
        columns = {"left": [left[k] for k in matches], "right": [right[k] for k in matches]}
    model = transformer(left + right, variant=variant)
    with tempfile.TemporaryDirectory(prefix="siamese-transformer-") as folder:
        options = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=variant.batch,
            learning_rate=variant.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=50,
            seed=arguments.seed,
            eval_strategy="steps",
            eval_steps=variant.evaluate_steps,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        SentenceTransformerTrainer(
            model=model,
            args=options,
            train_dataset=Dataset.from_dict(columns),
            loss=variant.loss(model),
            evaluator=Validation(),
        ).train()


if __name__ == "__main__":
    main()
