"""Which files hold the data: the one that was named, and those of other splits beside it.

    files = find_files(Path("pairs/train.csv.gz"))
    files.train, files.by_split

A folder is one of files, or one of a folder of images for each class, which may lie below
folders of splits.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from job.data.sources.class_folders import IMAGE_EXTENSIONS
from job.data.sources.configured import ARRAYS
from job.data.sources.table import TABLE_FORMATS, extension
from job.errors import ConfigError, DataError, PermissionDeniedError
from job.types import Split

Form = Literal["table", "arrays", "folder"]

# Names of a split's file or folder, the usual one first.
_NAMES: Mapping[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
_FILES_SHOWN = 12


@dataclass(frozen=True)
class FoundFiles:
    """The files of a data set.

    Attributes:
        form: Tables, arrays, or folders of class folders.
        train: The file or folder to train on.
        others: Those of validation and test, as far as there are any.
    """

    form: Form
    train: Path
    others: Mapping[Split, Path]

    @property
    def folder(self) -> Path:
        """The folder that holds all of them."""
        return self.train.parent

    @property
    def by_split(self) -> Mapping[Split, Path]:
        """Every file."""
        return {"train": self.train, **self.others}


def find_files(data: Path) -> FoundFiles:
    """Finds the files of a data set; reads folders, opens no file.

    Args:
        data: What the user named; a file, or a folder.

    Raises:
        ConfigError: Its format is unknown, or a folder holds several data sets or none.
        DataError: There is no such file.
        PermissionDeniedError: A folder may not be read.
    """
    data = Path(os.path.abspath(data))
    try:
        if data.is_dir():
            return _in_folder(data)
        if not data.is_file():
            raise DataError(
                f"init: there is no file or folder {str(data)!r}. Give the file that holds the "
                "pairs or items, or a folder of images by class."
            )
        return FoundFiles(_form(data), data, _beside(data))
    except PermissionError as error:
        raise PermissionDeniedError(
            f"init: {str(data)!r} may not be read ({error.filename}: permission denied). Give "
            "this user read access."
        ) from error


def _in_folder(folder: Path) -> FoundFiles:
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files = [path for path in entries if path.is_file() and _is_data(path)]
    folders = [path for path in entries if path.is_dir()]
    training = [path for path in files if _split_of(path) == "train"]
    if len(training) == 1 or (not training and len(files) == 1):
        train = (training or files)[0]
        return FoundFiles(_form(train), train, _beside(train))
    splits = {path.name.lower(): path for path in folders}
    named: dict[Split, Path] = {
        split: splits[name]
        for split, names in _NAMES.items()
        for name in reversed(names)
        if name in splits
    }
    if not files and "train" in named and _has_class_folders(named["train"]):
        train = named.pop("train")
        return FoundFiles("folder", train, named)
    if not files and _has_class_folders(folder):
        return FoundFiles("folder", folder, {})
    seen = ", ".join(repr(path.name) for path in entries[:_FILES_SHOWN]) or "nothing"
    more = ", ..." if len(entries) > _FILES_SHOWN else ""
    raise ConfigError(
        f"init: {str(folder)!r} holds {seen}{more}. Needed is one data file "
        f"({', '.join(_known())}), or train.csv with validation.csv and test.csv beside it, or "
        "a folder of images for each class. Name the file to train on instead of the folder."
    )


def _beside(train: Path) -> dict[Split, Path]:
    """The files of the other splits, named like the training file, of the same format."""
    own = _stem(train)
    siblings: dict[str, Path] = {}
    for path in sorted(train.parent.iterdir()):
        if path != train and _is_data(path) and extension(path.name) == extension(train.name):
            siblings.setdefault(_stem(path).lower(), path)
    found: dict[Split, Path] = {}
    other: tuple[Split, ...] = ("validation", "test")
    for split in other:
        for name in _NAMES[split]:
            # `train-small` has `validation-small` beside it; `pairs` has `validation`.
            for stem in (*_replaced(own, by=name), name):
                if stem in siblings and siblings[stem] not in found.values():
                    found.setdefault(split, siblings[stem])
    return found


def _replaced(stem: str, *, by: str) -> Iterable[str]:
    lower = stem.lower()
    for name in sorted(_NAMES["train"], key=len, reverse=True):
        if name in lower:
            yield lower.replace(name, by, 1)
            return


def _split_of(path: Path) -> Split | None:
    name = _stem(path).lower()
    return next((split for split, names in _NAMES.items() if name in names), None)


def _has_class_folders(folder: Path) -> bool:
    """Whether two folders below hold an image, at any depth."""
    return sum(_holds_image(path) for path in folder.iterdir() if path.is_dir()) >= 2


def _holds_image(folder: Path) -> bool:
    return any(
        name.lower().endswith(IMAGE_EXTENSIONS)
        for _, _, names in os.walk(folder)
        for name in names
    )


def _form(path: Path) -> Form:
    suffix = extension(path.name)
    if suffix in TABLE_FORMATS:
        return "table"
    if suffix == ARRAYS and not path.name.lower().endswith(".gz"):
        return "arrays"
    raise ConfigError(
        f"init: {path.name!r} has no known format. Known: {', '.join(_known())}. Convert the "
        "file, or rename it if only its name is wrong."
    )


def _is_data(path: Path) -> bool:
    return extension(path.name) in (*TABLE_FORMATS, ARRAYS)


def _known() -> list[str]:
    return [*(f"{suffix} or {suffix}.gz" for suffix in TABLE_FORMATS), ARRAYS]


def _stem(path: Path) -> str:
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return Path(name).stem
