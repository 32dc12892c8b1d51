"""From collections that were read to the files of `match`.

::

    with replacing_output("matches.csv") as stream:
        outputs = [("matches.csv", stream)]
        report = match_files(model, people, people, options=MatchOptions(0.9), ...)
"""

from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from job.errors import ConfigError
from job.export.loaded import ExportedModel
from job.scoring.collection import Collection
from job.scoring.components import Groups
from job.scoring.index_search import require_index
from job.scoring.match_items import (
    Embedded,
    MatchOptions,
    Progress,
    chosen_method,
    comparison_of,
    embed_collection,
    find_matches,
)
from job.scoring.match_output import (
    MatchWriter,
    write_groups,
    write_pairs_to_label,
)
from job.scoring.match_report import recall_record
from job.scoring.uncertain import pairs_to_label

IntArray = NDArray[np.int64]


def match_files(
    model: ExportedModel,
    left: Collection,
    right: Collection,
    *,
    options: MatchOptions,
    progress: Progress,
    outputs: Sequence[tuple[str, IO[bytes]]],
) -> dict[str, Any]:
    """Finds matches and writes them.

    Args:
        model: The model.
        left: The left collection.
        right: The right collection; the same object for one.
        options: What is looked for.
        progress: Told a stage, what is done and what there is to do.
        outputs: Name and stream of the table of matches, and of that of groups if they are
            wanted.

    Returns:
        Facts for a person or a program, as JSON.

    Raises:
        ConfigError: An index is needed and not installed, or columns are in the way.
        DataError: Embeddings are not finite.
        DiskFullError: There is no space for the results.
    """
    sizes = {"num_left": len(left.items), "num_right": len(right.items)}
    if chosen_method(model.distance, options, **sizes) == "index":
        require_index()
    (out, stream), *more = outputs
    writer = MatchWriter(out, stream, left=left, right=right)
    sides = _embedded(model, left, right, progress=progress)
    found = find_matches(model, *sides, options=options, progress=progress)
    first_right = 0 if right is left else len(left)
    groups = Groups(first_right + len(right)) if more else None
    num_matches = 0
    for pairs in found.pairs:
        writer.write(pairs)
        num_matches += len(pairs)
        if groups:
            groups.connect(pairs.left, pairs.right + first_right)
    recall = found.recall() if found.recall else None
    number = groups.numbers() if groups else None
    if number is not None:
        collections = [left] if right is left else [left, right]
        write_groups(*more[0], collections=collections, group=number)
    return {
        **_sides(left, right),
        "matches": num_matches,
        "threshold": options.threshold,
        "top": options.top,
        "method": found.method,
        "candidates": None if found.method == "exact" else options.num_candidates,
        "recall": recall_record(recall),
        "groups": None if number is None else _group_counts(number),
    }


def choose_pairs_to_label(
    model: ExportedModel,
    left: Collection,
    right: Collection,
    *,
    options: MatchOptions,
    progress: Progress,
    num_pairs: int,
    out: str,
    stream: IO[bytes],
) -> dict[str, Any]:
    """Writes pairs that are worth a label, as training reads them.

    Args:
        model: The model.
        left: The left collection.
        right: The right collection; the same object for one.
        options: What is looked for.
        progress: Told a stage, what is done and what there is to do.
        num_pairs: How many.
        out: Name of the table.
        stream: Where to.

    Returns:
        Facts for a person or a program, as JSON.

    Raises:
        ConfigError: The items lack what the training format needs.
        DataError: Embeddings are not finite.
    """
    cells = _training_cells(model, left, right)
    embedded = _embedded(model, left, right, progress=progress)
    comparison = comparison_of(model, *embedded, threshold=options.threshold, top=None)
    chosen = pairs_to_label(
        model,
        comparison,
        num_pairs=num_pairs,
        num_candidates=options.num_candidates,
        seed=options.seed,
        progress=lambda done: progress("choosing", done, len(left.items)),
    )
    rows = chosen.pairs.of(
        _first_rows(embedded[0])[chosen.pairs.left],
        _first_rows(embedded[1])[chosen.pairs.right],
    )
    write_pairs_to_label(
        out,
        stream,
        pairs=rows,
        is_doubtful=chosen.is_doubtful,
        cells=cells,
        columns=model.data.columns,
    )
    return {
        **_sides(left, right),
        "pairs": len(rows),
        "near_threshold": int(chosen.is_doubtful.sum()),
        "threshold": options.threshold,
    }


def _embedded(
    model: ExportedModel, left: Collection, right: Collection, *, progress: Progress
) -> tuple[Embedded, Embedded]:
    def embed(collection: Collection) -> Embedded:
        return embed_collection(
            model,
            collection,
            progress=lambda done: progress("embedding", done, len(collection.items)),
        )

    one = embed(left)
    return one, one if right is left else embed(right)


def _first_rows(side: Embedded) -> IntArray:
    """int64 (N,), the first row of each item."""
    return side.rows.rows[side.rows.first[:-1]]


def _training_cells(
    model: ExportedModel, left: Collection, right: Collection
) -> tuple[Sequence[Sequence[str]], Sequence[Sequence[str]]]:
    """Each row as the cells that the pair files of the model have for an item."""
    columns = model.data.columns
    if not model.manifest.pairs_by_id:
        return (
            _item_cells(left, columns.item, columns.left),
            _item_cells(right, columns.item, columns.right),
        )
    both = []
    for side in (left, right):
        if columns.id not in side.columns:
            raise ConfigError(
                f"{side.name} has no column {columns.id!r} (data.columns.id): the pair files "
                "of this run hold ids, so pairs to label do, too. Give items with their ids."
            )
        both.append([(cell,) for cell in side.column(columns.id)])
    return both[0], both[1]


def _item_cells(
    side: Collection, item: str | Sequence[str], wanted: str | Sequence[str]
) -> Sequence[Sequence[str]]:
    if isinstance(wanted, str):
        return [(text,) for text in side.text]
    if isinstance(item, str) or len(item) != len(wanted):
        raise ConfigError(
            f"{side.name}: the pair files of this run have {len(wanted)} columns for an item "
            f"({', '.join(wanted)}), so pairs to label need as many columns of the items, got "
            f"{item!r}. Name them: --item COLUMN --item COLUMN ..."
        )
    return list(zip(*(side.column(name) for name in item), strict=True))


def _sides(left: Collection, right: Collection) -> dict[str, Any]:
    def facts(side: Collection) -> dict[str, Any]:
        return {
            "file": side.name,
            "rows": len(side),
            "items": len(side.items),
            "quarantine": side.quarantine.to_json(),
        }

    return {"left": facts(left), "right": None if right is left else facts(right)}


def _group_counts(number: IntArray) -> dict[str, int]:
    sizes = np.bincount(number)
    several = sizes[sizes > 1]
    return {
        "groups": len(several),
        "grouped_rows": int(several.sum()),
        "largest": int(several.max(initial=0)),
    }
