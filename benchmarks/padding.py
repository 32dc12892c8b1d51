"""Share of padding in the time steps of an epoch, for the examples as they are shipped.

    .venv/bin/python -m benchmarks.padding [EXAMPLE ...] [--json FILE]

Counts the steps that the encoder takes for the batches of epoch 0, once in the order of the
epoch and once grouped by length as the configuration says. `make data` makes the files that the
examples read. Nothing is trained. Prints a Markdown table.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from job.config.loader.load_config import load_config
from job.data.load import load_dataset
from job.data.pipeline.collators import Collator, collator_for
from job.data.sampling.epochs import BatchSampler
from job.data.sampling.length_groups import padded_steps
from job.run.components import training_pairs

EXAMPLES = ("text", "text-translation", "book-lstm", "sequences", "images", "book-xception")
FOLDER = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Padding:
    """The batches of epoch 0 of an example.

    Attributes:
        batch_size: Pairs in a batch.
        num_steps: Batches in the epoch.
        window: Batches whose pairs are regrouped together.
        encoder_calls: Calls of the encoder for a batch; each pads to its own longest item.
        in_order: Share of padding if each batch is padded to one length and none is regrouped.
        grouped: Share of padding as configured.
    """

    batch_size: int
    num_steps: int
    window: int
    encoder_calls: int
    in_order: float
    grouped: float


def measure(example: str) -> Padding:
    """Loads the data of an example and counts."""
    loaded = load_config(FOLDER / f"{example}.yaml", env={}, sets=[])
    config = loaded.config
    dataset = load_dataset(config.data, folder=loaded.folder, seed=config.run.seed)
    feed = collator_for(dataset, config.data)
    pairs = training_pairs(config, dataset=dataset, feed=feed)
    plain = config.model_copy(
        update={"training": config.training.model_copy(update={"bucket_window_batches": 1})}
    )
    in_order = training_pairs(plain, dataset=dataset, feed=feed).sampler
    return Padding(
        batch_size=config.training.global_batch_size,
        num_steps=pairs.sampler.num_steps,
        window=pairs.window,
        encoder_calls=1 if pairs.merged else 2,
        in_order=share_of_padding(in_order, feed=feed, merged=True),
        grouped=share_of_padding(pairs.sampler, feed=feed, merged=pairs.merged),
    )


def share_of_padding(sampler: BatchSampler, *, feed: Collator, merged: bool) -> float:
    """The share in all batches of epoch 0."""
    epoch = sampler.epoch(0)
    batches = [epoch.batch(step).pairs for step in range(epoch.num_steps)]
    left = np.stack([feed.lengths_of(pairs.left) for pairs in batches])
    right = np.stack([feed.lengths_of(pairs.right) for pairs in batches])
    return 1.0 - int(left.sum() + right.sum()) / padded_steps(left, right, merged=merged)


def main() -> None:
    """Measures the examples that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", default=EXAMPLES)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers")
    arguments = parser.parse_args()
    print("| example | pairs a batch | batches | window | calls | in order | grouped |")
    print("|---|---|---|---|---|---|---|")
    cases = []
    for example in arguments.examples:
        found = measure(example)
        print(
            f"| {example} | {found.batch_size} | {found.num_steps} | {found.window} "
            f"| {found.encoder_calls} | {found.in_order:.1%} | {found.grouped:.1%} |",
            flush=True,
        )
        cases.append({"case": f"padding_{example}", "unit": "share", **asdict(found)})
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
