from pathlib import Path

import pytest

from job.config.data import DataConfig, ImageDataConfig, TextDataConfig
from job.data.sources.configured import resolve_sources, where_of
from job.data.sources.files import DataFiles
from job.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.csv", "b.tsv.gz", "c.JSONL", "d.npz", "e.txt"):
        (tmp_path / name).touch()
    (tmp_path / "images").mkdir()
    return tmp_path


def forms(section: DataConfig, root: Path) -> dict[str, str]:
    given = resolve_sources(section, files=DataFiles(root.resolve()))
    return {role: file.form for role, (file,) in given.items()}


def test_the_name_says_what_a_file_is(root):
    section = TextDataConfig(
        train="a.csv", test="c.JSONL", validation="b.tsv.gz", items="d.npz"
    )
    assert forms(section, root) == {
        "train": "table",
        "validation": "table",
        "test": "table",
        "items": "arrays",
    }
    given = resolve_sources(section, files=DataFiles(root.resolve()))
    assert list(given) == ["train", "validation", "test", "items"]
    assert where_of(given["items"]) == "data.items: 'd.npz'"
    assert given["train"][0].path == root.resolve() / "a.csv"
    assert given["train"][0].table().where == "data.train: 'a.csv'"


def test_a_list_of_files_is_resolved_in_its_order(root):
    (root / "z.csv.gz").touch()
    section = TextDataConfig(train=["z.csv.gz", "a.csv"], test="c.JSONL")
    given = resolve_sources(section, files=DataFiles(root.resolve()))
    assert [source.name for source in given["train"]] == ["z.csv.gz", "a.csv"]
    assert where_of(given["train"]) == "data.train: 'z.csv.gz', 'a.csv'"


def test_items_of_images_may_lie_in_a_folder(root):
    section = ImageDataConfig(train="images", validation="d.npz", test="a.csv", rows="items")
    assert forms(section, root) == {"train": "folder", "validation": "arrays", "test": "table"}
    assert forms(ImageDataConfig(train="./images/", rows="items"), root) == {"train": "folder"}


@pytest.mark.parametrize(
    ("section", "error", "words"),
    [
        (
            TextDataConfig(train="e.txt"),
            ConfigError,
            "data.train: 'e.txt': '.txt' is not a known format. Known: .csv, .tsv, .jsonl, ",
        ),
        (
            TextDataConfig(train="d.npz"),
            ConfigError,
            "'.npz' is not a known format. Known: .csv, .tsv, .jsonl, each also with .gz. An "
            ".npz holds items: set data.rows: items.",
        ),
        (
            TextDataConfig(train="e.txt", rows="items"),
            ConfigError,
            "Known: .csv, .tsv, .jsonl, each also with .gz. Or .npz. Convert",
        ),
        (
            ImageDataConfig(train="images"),
            ConfigError,
            "the name has no extension. Known: .csv, .tsv, .jsonl, each also with .gz. A "
            "folder that holds a folder of images for each class needs data.kind: image and "
            "data.rows",
        ),
        (
            ImageDataConfig(train="a.csv", items="images"),
            ConfigError,
            "data.items: 'images': the name has no extension.",
        ),
        (
            ImageDataConfig(train="e.txt", rows="items"),
            DataError,
            "data.train: 'e.txt' is a file (",
        ),
        (
            ImageDataConfig(train="picturs", rows="items"),
            DataError,
            "data.train: no such file or folder: 'picturs'",
        ),
        (
            ImageDataConfig(train="../images", rows="items"),
            ConfigError,
            "data.train: '../images' leads to ",
        ),
        (
            TextDataConfig(train=["a.csv", "b.tsv.gz"]),
            ConfigError,
            "data.train: the files of a list need one format, but 'a.csv' is .csv and "
            "'b.tsv.gz' is .tsv. Convert one of them",
        ),
        (
            ImageDataConfig(train=["images", "d.npz"], rows="items"),
            ConfigError,
            "'images' is folder and 'd.npz' is .npz",
        ),
        (
            TextDataConfig(train=["a.csv", "gone.csv"]),
            DataError,
            "data.train: no such file or folder: 'gone.csv'",
        ),
        (
            TextDataConfig(train="a.csv", items="gone.npz"),
            DataError,
            "data.items: no such file or folder: 'gone.npz'",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_opened(root, section, error, words):
    with pytest.raises(error) as caught:
        resolve_sources(section, files=DataFiles(root.resolve()))
    assert words in str(caught.value)
