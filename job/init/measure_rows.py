"""Measures the rows of a data set: the splits they allow, their items, the baselines."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data, SplitConfig, WordsConfig
from job.data.dataset import ItemTable, LabelledRows, PairTable, Rows, Statistics
from job.data.items.read_rows import LoadedRows
from job.data.load import evaluation_pairs
from job.data.splits.assignment import assign_splits
from job.data.splits.partition import partition_rows
from job.errors import DataError
from job.evaluation.baselines import baseline_scores
from job.evaluation.metrics import roc_auc
from job.init.columns import Roles
from job.init.facts import Facts, SplitFact
from job.inspection.issues import FEW_CLASSES
from job.inspection.item_measures import (
    Distribution,
    TextMeasures,
    UnknownTokens,
    subsample,
)
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.vocabulary import build_vocabulary
from job.types import SPLITS, Split

# Enough for a ROC-AUC to +- 0.015, and few enough for an answer in seconds.
_PAIRS_MEASURED = 1_500
_ITEMS_MEASURED = 10_000
_IMAGES_MEASURED = 500
# Fewer rows need a larger share of them, for a measurement that says something.
_FEW_ROWS = 10_000
# A split must get this share of the rows that it asks for.
_LEAST_FILLED = 0.5


def facts_of(
    loaded: LoadedRows,
    *,
    section: Data,
    roles: Roles,
    origins: Mapping[Split, str],
    num_rows: int,
    seed: int,
) -> Facts:
    """Measures a data set.

    Args:
        loaded: Its rows, or a sample of them.
        section: The section they were read with.
        roles: What the columns are.
        origins: The file of each split.
        num_rows: Rows of the whole training file.
        seed: `run.seed`, which decides the splits.

    Raises:
        DataError: A split has no rows, or lacks matches or non-matches.
    """
    split = split_fact(loaded, section=section, num_rows=num_rows, seed=seed)
    cut = split.as_section(loaded.rows)
    section = section.model_copy(update={"split": SplitConfig.model_validate(cut)})
    splits = assign_splits(section, loaded.rows, origins=origins, seed=seed)
    pairs = evaluation_pairs(section, splits, items=loaded.items, seed=seed)
    own = splits["train"].items()
    scale = num_rows / max(len(loaded.rows["train"].rows), 1)
    spelling = _baselines(loaded.items, pairs["validation"], own=own)
    best = max(spelling, key=lambda name: spelling[name])
    facts: dict[str, Any] = {
        "kind": roles.kind,
        "rows": roles.rows,
        "num_rows": round(len(splits["train"]) * scale),
        "num_items": round(len(own) * scale),
        "num_validation": len(splits["validation"]),
        "num_surveyed": len(loaded.rows["train"].rows),
        "share_bad": max(
            file.quarantine.num_bad / max(file.quarantine.rows_read, 1)
            for file in loaded.rows.values()
        ),
        "spelling": spelling[best],
        "baseline": best,
        "split": split,
        **_of_rows(splits["train"], scale=scale),
        **_of_items(loaded.items, own, validation=splits["validation"].items()),
    }
    if roles.kind == "text" and "train" in pairs:
        facts["sides_differ"] = _sides_differ(loaded.items, pairs["train"])
    return Facts(**facts)


def split_fact(loaded: LoadedRows, *, section: Data, num_rows: int, seed: int) -> SplitFact:
    """How the splits are made, and why."""
    missing: list[Split] = [s for s in SPLITS if s not in loaded.rows]
    train = loaded.rows["train"]
    fraction = 0.2 if num_rows < _FEW_ROWS else 0.1
    if train.split is not None:
        return SplitFact(
            None, fraction, f"the column {section.columns.split!r} names the splits"
        )
    if not missing:
        return SplitFact(None, fraction, "the files beside it")
    if section.split.by == "group":
        why = f"rows of one {section.columns.group!r} stay in one split"
        return SplitFact("group", fraction, why)
    rows = train.rows
    if isinstance(rows, LabelledRows):
        num_classes = len(np.unique(rows.item_class))
        if num_classes < FEW_CLASSES:
            why = (
                f"{num_classes} classes are too few to learn to tell new ones apart, so test "
                "has new items of known classes"
            )
            return SplitFact("row", fraction, why)
        why = f"test has classes that training does not hold; there are {num_classes:,}"
        return SplitFact("identity", fraction, why)
    if _fills(rows, missing, fraction=fraction, seed=seed):
        return SplitFact("identity", fraction, "no item of test occurs in training")
    why = (
        "pairs connect nearly all items, so items are shared between the splits and scores "
        "flatter the model; better: a column for `split.by: group`, or files of their own"
    )
    return SplitFact("row", fraction, why)


def _fills(rows: PairTable, missing: list[Split], *, fraction: float, seed: int) -> bool:
    fractions: dict[Split, float] = dict.fromkeys(missing, fraction)
    wanted = {"train": 1.0 - sum(fractions.values()), **fractions}
    ordered: dict[Split, float] = {s: wanted[s] for s in SPLITS if s in wanted}
    member = partition_rows(rows, by="identity", fractions=ordered, seed=seed).membership
    sizes = np.bincount(member, minlength=len(SPLITS)) / len(rows)
    both = (len(np.unique(rows.label[member == SPLITS.index(split)])) == 2 for split in ordered)
    filled = (
        sizes[SPLITS.index(split)] >= _LEAST_FILLED * share for split, share in ordered.items()
    )
    return all(both) and all(filled)


def _of_rows(rows: Rows, *, scale: float) -> dict[str, Any]:
    if isinstance(rows, PairTable):
        return {"matching": rows.num_positive / len(rows)}
    sizes = rows.class_sizes()
    return {
        "num_classes": len(sizes),
        "class_size": float(np.median(sizes)),
        "share_single": float(np.mean(sizes == 1)),
    }


def _of_items(
    items: ItemTable, own: NDArray[np.int64], *, validation: NDArray[np.int64]
) -> dict[str, Any]:
    some = subsample(own, _ITEMS_MEASURED)
    if items.kind == "image":
        pixels = items.values.take(subsample(own, _IMAGES_MEASURED)).values
        return {"is_coloured": bool((pixels[..., 0] != pixels[..., 1]).any())}
    if items.kind == "sequence":
        return {
            "lengths": Distribution.of(items.values.lengths_of(own)),
        }
    texts = TextMeasures.of(items.values, some)
    return {
        "lengths": texts.lengths,
        "mean_words": texts.mean_words,
        "share_unknown": _share_unknown(items, own, validation=validation),
    }


def _share_unknown(
    items: ItemTable, own: NDArray[np.int64], *, validation: NDArray[np.int64]
) -> float:
    """Share of the words of validation that training texts do not hold at least twice."""
    try:
        words = build_vocabulary(WordsConfig(), items=items.values, rows=own)
    except DataError:  # no word occurs twice
        return 1.0
    some = subsample(validation, _ITEMS_MEASURED)
    return UnknownTokens.of(items, some, vocabulary=words).share


def _baselines(
    items: ItemTable, pairs: PairTable, *, own: NDArray[np.int64]
) -> dict[str, float]:
    """ROC-AUC of the untrained baselines on some validation pairs."""
    chosen = pairs.take(
        np.sort(
            np.concatenate(
                [
                    subsample(np.flatnonzero(pairs.label == label), _PAIRS_MEASURED // 2)
                    for label in (0, 1)
                ]
            )
        )
    )
    statistics: Statistics = None
    if items.kind == "sequence":
        statistics = FeatureStats.of(items.values, own)

    def pixels(rows: NDArray[np.int64]) -> NDArray[np.generic]:
        return np.stack([items.values.row(row) for row in rows.tolist()])

    scores = baseline_scores(items, pairs=chosen, statistics=statistics, pixels=pixels)
    return {name: roc_auc(chosen.label, score) for name, score in scores.items()}


def _sides_differ(items: ItemTable, pairs: PairTable) -> float:
    """Share of some pairs whose texts are written in two scripts."""
    some = pairs.take(subsample(np.arange(len(pairs)), 500))
    both = (map(_script, items.texts(rows)) for rows in (some.left, some.right))
    return float(np.mean([left != right for left, right in zip(*both, strict=True)]))


def _script(text: str) -> str:
    """The commonest script of a text, by the first word of its letters' Unicode names."""
    found = Counter(
        unicodedata.name(letter, "UNNAMED").split()[0] for letter in text if letter.isalpha()
    )
    return found.most_common(1)[0][0] if found else ""
