"""The commands that take files of data instead of a configuration."""

import argparse

from job.commands.lazily import Subparsers, lazily


def register_init(subparsers: Subparsers) -> None:
    """Writes a configuration for some data."""
    parser = subparsers.add_parser(
        "init",
        help="write a configuration from your data, with the reasons beside each choice",
        description="Looks at DATA, and at files of validation and test beside it, and writes "
        "a configuration that trains as it is, with the reason beside each choice. Without "
        "DATA: the most used keys, to start from.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="a table (.csv, .tsv, .jsonl, plain or .gz), an .npz, or a folder",
    )
    parser.add_argument(
        "out", nargs="?", metavar="OUT.yaml", help="file to write; default: print"
    )
    for flag, what in (
        ("left", "first item of a pair; repeated: columns that make one text"),
        ("right", "second item of a pair; likewise"),
        ("label", "label of a pair, 1 or 0"),
        ("item", "item that has a class; likewise"),
        ("class", "class of an item"),
    ):
        parser.add_argument(
            f"--{flag}",
            action="append",
            default=[],
            metavar="COLUMN",
            help=f"the column of the {what}; default: found",
        )
    parser.add_argument(
        "--try",
        dest="minutes",
        type=float,
        metavar="MINUTES",
        help="train a few candidates for so long and keep the best; default: train none",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT.yaml")
    parser.set_defaults(run=lazily("init"))


def register_score(subparsers: Subparsers) -> None:
    """Scores pairs with an exported model."""
    parser = subparsers.add_parser(
        "score",
        help="score the pairs of a file with a trained model",
        description="Scores every pair of PAIRS with the model that a run has exported, and "
        "writes its rows with the columns score, probability and match to OUT: completely or "
        "not at all. Labels may be missing; where there are some, the quality is printed.",
        allow_abbrev=False,
    )
    _add_model_argument(parser)
    parser.add_argument(
        "pairs",
        metavar="PAIRS",
        help="a .csv, .tsv or .jsonl file, plain or .gz; a path or gs://bucket/name",
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="the same for the result"
    )
    parser.add_argument(
        "--items", metavar="FILE", help="file that holds the items by id, as data.items does"
    )
    parser.add_argument(
        "--root",
        metavar="PLACE",
        help="folder or gs:// URI that paths in PAIRS are relative to; default: that of PAIRS",
    )
    _add_bad_fraction_argument(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )
    parser.set_defaults(run=lazily("score"))


def register_match(subparsers: Subparsers) -> None:
    """Finds matching items with an exported model."""
    parser = subparsers.add_parser(
        "match",
        help="find the items that match, in a collection or between two",
        description="Finds every pair of items whose score reaches the threshold of the model "
        "that a run has exported, and writes the pairs, with all columns of both items and "
        "the score, to OUT: completely or not at all.",
        allow_abbrev=False,
    )
    _add_model_argument(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--within",
        metavar="ITEMS",
        help="a .csv, .tsv, .jsonl or .npz file of items, or a folder of images; a path or "
        "gs://bucket/name",
    )
    where.add_argument(
        "--between", nargs=2, metavar=("A", "B"), help="two of them: each item of A with B's"
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="a .csv, .tsv or .jsonl file, or .gz"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="score of a match; default: the model's"
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="only the K best matches of an item; default: all"
    )
    parser.add_argument(
        "--groups",
        action="store_true",
        help="also write each item with the number of its group of matching items",
    )
    parser.add_argument(
        "--uncertain",
        type=int,
        metavar="N",
        help="instead of matches, write N pairs that are worth a label, as training reads them",
    )
    parser.add_argument(
        "--candidates",
        type=int,
        metavar="C",
        help="where not every pair is compared, nearest items of an item that are scored; "
        "default: 100",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--index", action="store_true", help="find near items by an index (extra `index`)"
    )
    how.add_argument(
        "--exact", action="store_true", help="compare every pair, however long it takes"
    )
    _add_match_input(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of lines"
    )
    parser.set_defaults(run=lazily("match"))


def _add_match_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--item",
        action="append",
        metavar="COLUMN",
        help="column of the item, several for a text that is joined; default: the model's",
    )
    parser.add_argument(
        "--root",
        metavar="PLACE",
        help="folder or gs:// URI that paths in rows are relative to; default: that of ITEMS",
    )
    _add_bad_fraction_argument(parser)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="draws samples; default: 0"
    )


def _add_model_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="RUN_OR_EXPORT", help="folder or gs:// URI of a run, or of an export"
    )


def _add_bad_fraction_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-bad-fraction",
        type=float,
        metavar="SHARE",
        help="share of the rows that may be bad; default: data.max_bad_fraction of the run",
    )
