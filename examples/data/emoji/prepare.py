"""Draws the emoji of five vendors at 32 pixels from their npm packages.

    .venv/bin/python -m examples.data.emoji.prepare FOLDER PACKAGE.tgz...

The five packages are those of VENDORS, in any order. The script needs resvg-py 0.5.0, which
renders SVG and is not a requirement of the project. Two images match if they show the same
emoji; names of the same emoji are folded into one class.
"""

import hashlib
import io
import json
import re
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from examples.data import files
from job.checkpoints.serialization import encode_npz

# Vendor, which is also the package's name below @iconify-json/, to the sha256 of the package.
# README.md names the versions.
VENDORS = {
    "twemoji": "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
    "noto": "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    "openmoji": "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
    "fluent-emoji-flat": "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    "emojione": "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
}
RENDERER = "0.5.0"
SIZE = 32  # pixels
MIN_VENDORS = 4

# Vendors draw these alike, some of them with the identical image.
FOLDS = (
    (re.compile(r"^(man|woman|person)-(?=.)"), ""),
    (re.compile(r"^family-.*"), "family"),
    (re.compile(r"^(kiss|couple-with-heart)-(man|woman)-.*"), r"\1"),
    (re.compile(r"-facing-right$"), ""),
)

IconSet = Mapping[str, Any]  # icons.json


class Drawing(NamedTuple):
    """One vendor's image of an emoji."""

    emoji: str
    vendor: str
    name: str


def folded(name: str) -> str:
    """The emoji that an icon shows, without gender and direction."""
    for pattern, replacement in FOLDS:
        name = pattern.sub(replacement, name)
    return name


def of_enough_vendors(drawings: Iterable[Drawing]) -> list[Drawing]:
    """The drawings of emoji that at least MIN_VENDORS vendors draw."""
    drawings = list(drawings)
    vendors: dict[str, set[str]] = defaultdict(set)
    for drawing in drawings:
        vendors[drawing.emoji].add(drawing.vendor)
    return [one for one in drawings if len(vendors[one.emoji]) >= MIN_VENDORS]


def drawings_of(sets: Mapping[str, IconSet]) -> list[Drawing]:
    """The drawings, sorted by emoji, then vendor, without skin tones and deprecated names."""
    drawings = [
        Drawing(folded(name), vendor, name)
        for vendor in VENDORS
        for name, icon in sorted(sets[vendor]["icons"].items())
        if "skin-tone" not in name and not icon.get("hidden")
    ]
    return of_enough_vendors(sorted(drawings, key=lambda drawing: drawing.emoji))


def distinct(images: Mapping[Drawing, np.ndarray]) -> dict[Drawing, np.ndarray]:
    """Removes duplicates, and images of two emoji, which would be a match and a non-match."""
    emoji: dict[bytes, set[str]] = defaultdict(set)
    for drawing, image in images.items():
        emoji[image.tobytes()].add(drawing.emoji)
    kept: dict[bytes, Drawing] = {}
    for drawing, image in images.items():
        if len(emoji[image.tobytes()]) == 1:
            kept.setdefault(image.tobytes(), drawing)
    return {drawing: images[drawing] for drawing in of_enough_vendors(kept.values())}


def categories(
    drawings: Iterable[Drawing], *, of_icon: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Emoji to the most frequent category of its drawings; vendors may disagree."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for emoji, vendor, name in drawings:
        if name in of_icon[vendor]:
            votes[emoji][of_icon[vendor][name]] += 1
    return {
        emoji: max(sorted(found), key=lambda name: found[name])
        for emoji, found in votes.items()
    }


def svg(icons: IconSet, name: str) -> str:
    """The icon as a complete SVG file."""
    icon = icons["icons"][name]
    left, top, width, height = (
        icon.get(key, icons.get(key, default))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' viewBox="{left} {top} {width} {height}" width="{SIZE}" height="{SIZE}">'
        f"{icon['body']}</svg>"
    )


def drawn(text: str) -> np.ndarray:
    """The SVG on white, uint8 (SIZE, SIZE, 3)."""
    import resvg_py

    image = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=text))))
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def arrays_of(
    images: Mapping[Drawing, np.ndarray], *, category: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """The arrays of the file."""
    emoji = np.array([drawing.emoji for drawing in images])
    return {
        "images": np.stack(list(images.values())),
        "class": emoji,
        "group": emoji,
        "vendor": np.array([drawing.vendor for drawing in images]),
        "category": np.array([category[drawing.emoji] for drawing in images]),
    }


def opened(path: Path) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Vendor, icons.json, and icon to category, from one of the packages of VENDORS."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    vendor = next((name for name, known in VENDORS.items() if known == digest), None)
    if vendor is None:
        raise SystemExit(f"{path} is none of the packages that VENDORS in {__file__} names")
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        icons, metadata = (
            json.load(package.extractfile(f"package/{name}.json") or io.BytesIO())
            for name in ("icons", "metadata")
        )
    # "Food & Drink" is "Food Drink" for one vendor.
    by_category = {
        re.sub(r" (?:& )?", " & ", name): names
        for name, names in metadata["categories"].items()
    }
    return vendor, icons, {name: key for key, names in by_category.items() for name in names}


def main() -> None:
    """Writes emoji.npz into the folder of the first argument, from the packages of the rest."""
    from importlib.metadata import version

    if version("resvg-py") != RENDERER:
        raise SystemExit(f"resvg-py {version('resvg-py')} is installed, {RENDERER} is needed")
    packages = [opened(Path(name)) for name in sys.argv[2:]]
    sets = {vendor: icons for vendor, icons, _ in packages}
    if sets.keys() != VENDORS.keys():
        raise SystemExit(f"give the packages of {', '.join(VENDORS)}; got {', '.join(sets)}")
    images = {
        drawing: drawn(svg(sets[drawing.vendor], drawing.name)) for drawing in drawings_of(sets)
    }
    images = distinct(images)
    category = categories(images, of_icon={vendor: by for vendor, _, by in packages})
    data = encode_npz(arrays_of(images, category=category), compressed=True)
    files.replace(Path(sys.argv[1]) / "emoji.npz", data)
    print(f"emoji.npz: {len(images)} images, {len(category)} emoji, {len(data):,} bytes")


if __name__ == "__main__":
    main()
