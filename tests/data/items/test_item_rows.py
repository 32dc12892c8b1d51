from pathlib import Path

import numpy as np
import pytest

from job.config.data import ColumnsConfig, ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.data.dataset import FileRows
from job.data.items.columns import GroupSplitColumns
from job.data.items.item_rows import LabelledItems
from job.data.items.item_store import ItemStore
from job.data.items.readers import reader_of
from job.data.sources.configured import DataSource
from job.data.sources.files import DataFiles
from job.data.sources.sequence_file import Features
from job.errors import DataError, PermissionDeniedError
from job.preprocessing.ragged import RaggedArray
from tests.data.archives import npz_of
from tests.preprocessing.some_images import one_colour

COLUMNS = ColumnsConfig(group="who", split="part")


class Reading:
    """Labelled texts, or the items of a section, read file by file.

    Attributes:
        item_class: The class of each item.
        items: Their values.
    """

    def __init__(self, section=None, *, columns=COLUMNS, root: Path | None = None):
        section = section or TextDataConfig(train="x", rows="items", max_length=9)
        section = section.model_copy(update={"columns": columns})
        features = Features(None)
        form = section.storage if section.kind == "image" else section.kind
        files = DataFiles((root or Path("/")).resolve())
        reader = reader_of(section, files=files, form=form, features=features)
        named = {"group": columns.group, "split": columns.split}
        self._marked = {key: name for key, name in named.items() if name}
        self._store = ItemStore(reader, features=features)
        self._labelled = LabelledItems(self._store, section=section, features=features)

    def table(self, folder: Path, content: str, *, is_marked: bool = False) -> FileRows:
        (folder / "a.csv").write_text(content)
        return self._read("a.csv", folder / "a.csv", "table", is_marked=is_marked)

    def arrays(self, path: Path, *, is_marked: bool = False) -> FileRows:
        return self._read("a.npz", path, "arrays", is_marked=is_marked)

    def folder(self, folder: Path, *, name: str) -> FileRows:
        return self._read(name, folder, "folder")

    def _read(self, name, path, form, *, is_marked=False) -> FileRows:
        with self._store:
            source = DataSource("data.train", name, path, form)
            marks = GroupSplitColumns(self._marked if is_marked else {})
            return self._labelled.read(source, marks)

    @property
    def item_class(self) -> list[int]:
        return self._labelled.item_class().tolist()

    @property
    def class_names(self) -> list[str]:
        names = self._labelled.class_names()
        return [names.text(number) for number in range(len(names))]

    @property
    def items(self) -> RaggedArray:
        return self._store.build()


def shown(rows: FileRows) -> list[str]:
    return [str(bad) for bad in rows.quarantine.samples]


def test_a_table_gives_items_and_their_classes(tmp_path):
    reading = Reading()
    rows = reading.table(
        tmp_path, "item,class\ncat,animal\noak,plant\nemu,animal\ncat,animal\n"
    )
    assert rows.rows.item.tolist() == [0, 1, 2, 0]
    assert reading.item_class == [0, 1, 0]
    assert (rows.group, rows.split) == (None, None)
    assert rows.quarantine.rows_read == 4
    assert [reading.items.row(i).tobytes() for i in range(3)] == [b"cat", b"oak", b"emu"]


def test_classes_and_items_go_on_over_several_files(tmp_path):
    reading = Reading()
    reading.table(tmp_path, "item,class\ncat,animal\noak,plant\n")
    rows = reading.table(tmp_path, "item,class\nfir,plant\nflint,stone\ncat,animal\n")
    assert rows.rows.item.tolist() == [2, 3, 0]
    assert reading.item_class == [0, 1, 1, 2]
    assert reading.class_names == ["animal", "plant", "stone"]


def test_rows_may_be_marked(tmp_path):
    content = "part,item,who,class\ntest,cat,x,animal\ntrain,oak,y,plant\ntrain,emu,x,animal\n"
    rows = Reading().table(tmp_path, content, is_marked=True)
    assert (rows.group.tolist(), rows.split.tolist()) == ([0, 1, 0], [2, 0, 0])


def test_one_column_may_be_class_and_group(tmp_path):
    columns = ColumnsConfig(group="class")
    rows = Reading(columns=columns).table(
        tmp_path, "item,class\na,x\nb,y\nc,x\n", is_marked=True
    )
    assert rows.group.tolist() == [0, 1, 0]


def test_bad_rows_of_a_table_are_named_and_leave_no_trace(tmp_path):
    lines = [
        "new,new-class,x,dev",
        ",c,x,test",
        "a,,x,test",
        "a,c,,test",
        "aaaaaaaaaa,c,x,test",
        "a",
        "cat,animal,x,test",
        "cat,plant,x,test",
        "emu,plant,x,test",
    ]
    reading = Reading()
    rows = reading.table(tmp_path, "\n".join(["item,class,who,part", *lines]), is_marked=True)
    assert shown(rows) == [
        "a.csv line 2: part must be one of train, validation, test, got 'dev' in "
        "['new', 'new-class', 'x', 'dev']",
        "a.csv line 3: item is empty in ['', 'c', 'x', 'test']",
        "a.csv line 4: class is empty in ['a', '', 'x', 'test']",
        "a.csv line 5: who is empty in ['a', 'c', '', 'test']",
        "a.csv line 6: item has 10 characters (data.max_length is 9) in "
        "['aaaaaaaaaa', 'c', 'x', 'test']",
        "a.csv line 7: 1 fields where the header names 4 in ['a']",
        "a.csv line 9: item has the class 'animal' before and 'plant' here; an item has one "
        "class, and the first one is used in ['cat', 'plant', 'x', 'test']",
    ]
    assert rows.rows.item.tolist() == [0, 1]
    assert rows.group.tolist() == [0, 0]
    assert reading.item_class == [0, 1]


def test_a_table_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"'a\.csv' holds no rows\. Give at least two classes"):
        Reading().table(tmp_path, "item,class\n")


def test_arrays_of_texts_are_rows_like_those_of_a_table(tmp_path):
    path = npz_of(
        tmp_path / "a.npz",
        item=np.array(["cat", "", "cafe\u0301", "caf\u00e9", "cat"]),
        **{"class": np.array([7, 7, 8, 8, 8])},
        who=np.array(["x", "x", "y", "x", "x"]),
        part=np.array(["train", "test", "test", "train", "train"]),
    )
    reading = Reading()
    rows = reading.arrays(path, is_marked=True)
    assert rows.rows.item.tolist() == [0, 1, 1]
    assert (rows.group.tolist(), rows.split.tolist()) == ([0, 1, 0], [0, 2, 0])
    assert reading.item_class == [0, 1]
    assert shown(rows) == [
        "a.npz row 2: item is empty in ''",
        "a.npz row 5: item has the class '7' before and '8' here; an item has one class, "
        "and the first one is used in 'cat'",
    ]


def sequences(path: Path, **arrays: np.ndarray) -> Path:
    values = np.arange(8.0).reshape(8, 1)
    values[3] = np.nan
    return npz_of(path, values=values, lengths=np.array([1, 2, 2, 0, 3]), **arrays)


def test_rows_of_arrays_are_items_of_their_own(tmp_path):
    section = SequenceDataConfig(train="a.npz", rows="items")
    classes = np.array(["a", "b", "a", "a", "b"])
    reading = Reading(section, columns=ColumnsConfig())
    first = reading.arrays(sequences(tmp_path / "a.npz", **{"class": classes}))
    again = reading.arrays(sequences(tmp_path / "a.npz", **{"class": classes}))
    assert (first.rows.item.tolist(), again.rows.item.tolist()) == ([0, 1, 2], [3, 4, 5])
    assert reading.item_class == [0, 1, 1] * 2
    assert shown(first) == [
        "a.npz row 3: holds NaN or a number beyond float32 in step 1",
        "a.npz row 4: has no time step",
    ]
    assert first.quarantine.rows_read == 5
    assert reading.items.row(5).tolist() == [[5.0], [6.0], [7.0]]


def test_bad_marks_and_classes_of_arrays_are_named(tmp_path):
    section = SequenceDataConfig(train="a.npz", rows="items")
    reading = Reading(section)
    path = sequences(
        tmp_path / "a.npz",
        **{"class": np.array(["a", "", "a", "a", "b"])},
        who=np.array([1, 2, 2, 2, 3]),
        part=np.array(["train", "train", "test", "test", "dev"]),
    )
    rows = reading.arrays(path, is_marked=True)
    assert shown(rows)[0] == "a.npz row 2: class is empty"
    assert shown(rows)[-1].startswith("a.npz row 5: part must be one of train, ")
    assert (rows.rows.item.tolist(), rows.group.tolist()) == ([0], [0])
    assert reading.item_class == [0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, "has no array 'class' (data.columns.item_class)"),
        ({"class": np.arange(5)}, "has no array 'who' (data.columns.group)"),
        ({"class": np.arange(4), "who": np.arange(5)}, "the array 'class' has 4 rows"),
        ({"class": np.arange(5), "who": np.arange(6)}, "the array 'who' has 6 rows"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, words):
    reading = Reading(
        SequenceDataConfig(train="a.npz", rows="items"), columns=ColumnsConfig(group="who")
    )
    with pytest.raises(DataError) as caught:
        reading.arrays(sequences(tmp_path / "a.npz", **arrays), is_marked=True)
    assert words in str(caught.value)


def test_a_folder_of_class_folders_gives_images(tmp_path):
    root = tmp_path / "root"
    for name, colour in (("dog/b.png", 1), ("cat/x/a.png", 2), ("cat/b.png", 3)):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one_colour(colour=(colour, 0, 0)))
    (root / "images/cat/c.png").write_bytes(b"GIF89a")
    (root / "images/cat/d.png").symlink_to(tmp_path / "elsewhere.png")
    (root / "images/cat/e.png").symlink_to("b.png")
    (tmp_path / "elsewhere.png").write_bytes(one_colour())
    (root / "images/notes.txt").touch()
    section = ImageDataConfig(train="images", rows="items", size=8)
    reading = Reading(section, columns=ColumnsConfig(), root=root)
    rows = reading.folder((root / "images").resolve(), name="images/")
    assert rows.rows.item.tolist() == [0, 1, 2, 3]
    assert reading.item_class == [0, 0, 0, 1]
    assert rows.quarantine.rows_read == 7
    items = reading.items
    assert [int(items.row(i)[0, 0, 0]) for i in range(4)] == [3, 3, 2, 1]
    assert shown(rows)[0].startswith("images/cat/c.png: ")
    assert shown(rows)[1:] == [
        "images/cat/d.png: leads out of data.root",
        "images/notes.txt: has no image extension (.png, .jpg, .jpeg)",
    ]


def test_a_folder_without_files_is_refused(tmp_path):
    section = ImageDataConfig(train="images", rows="items")
    with pytest.raises(DataError, match=r"data\.train: 'x' holds no files\. Give at least two"):
        Reading(section, root=tmp_path).folder(tmp_path, name="x")


def test_a_folder_that_may_not_be_read_is_permission_denied(open_folder: Path, unprivileged):
    (open_folder / "cat").mkdir(mode=0)
    section = ImageDataConfig(train="images", rows="items")
    reading = Reading(section, root=open_folder)
    with (
        unprivileged(),
        pytest.raises(PermissionDeniedError, match=r"data\.train: 'x' may not"),
    ):
        reading.folder(open_folder, name="x")


def test_names_that_are_not_utf8_can_be_shown(tmp_path):
    (tmp_path / "p/cat").mkdir(parents=True)
    (tmp_path / "p/cat/\udcff.gif").touch()
    (tmp_path / "p/\udcfe").mkdir()
    (tmp_path / "p/\udcfe/a.png").write_bytes(one_colour())
    section = ImageDataConfig(train="p", rows="items")
    reading = Reading(section, root=tmp_path)
    rows = reading.folder(tmp_path / "p", name="p")
    assert reading.class_names == [r"\udcfe"]
    assert shown(rows)[0].encode().startswith(b"p/cat/\\udcff.gif: has no image")
