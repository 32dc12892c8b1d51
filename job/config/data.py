"""The `data` section: the kind of item, the source of items and pairs, and the splits.

Each kind of item has a section class; `DataConfig` holds what they share, for functions that do
not depend on the kind.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.config.names import Names, names_of, shown
from job.config.sampling import PairSamplingConfig, Sampling
from job.config.scalars import to_yaml
from job.config.section import MUTABLE, Section, default_kind
from job.config.uris import DATA_PLACES, FOLDERS, checked_place


class CharactersConfig(Section):
    """Each character is a token."""

    kind: Literal["characters"] = Field("characters", description="What a token is.")


class WordsConfig(Section):
    """Each word is a token, each Chinese character or kana, and each sign that is no letter."""

    kind: Literal["words"] = Field("words", description="What a token is.")
    max_vocabulary: int = Field(
        50_000,
        ge=1,
        le=10_000_000,
        description="Size of the vocabulary: the most frequent words of the training items. "
        "Every other word is the unknown word.",
    )
    min_count: int = Field(
        2,
        ge=1,
        description="Occurrences in the training items that a word needs to be in the "
        "vocabulary. With 1 the unknown word is never trained.",
    )


Tokens = Annotated[CharactersConfig | WordsConfig, Field(discriminator="kind")]


class ColumnsConfig(Section):
    """Names of columns (CSV, TSV), keys (JSONL) or arrays (NPZ)."""

    left: Names = Field(
        "left",
        description="First item of a pair. A list of columns: a text made of all of them, "
        "with ` | ` in between.",
    )
    right: Names = Field(
        "right", description="Second item of a pair; a list as for `data.columns.left`."
    )
    label: str = Field(
        "label", min_length=1, description="Label of a pair: 1 = match, 0 = no match."
    )
    item: Names = Field(
        "item",
        description="Labelled item: the text, or the path of its file. A list as for "
        "`data.columns.left`.",
    )
    item_class: str = Field(
        "class",
        min_length=1,
        description="Class of an item; two items match when their classes are equal.",
    )
    id: str = Field(
        "id",
        min_length=1,
        description="Id of an item in `data.items`, which pair files refer to.",
    )
    group: str | None = Field(
        None,
        min_length=1,
        description="What a row belongs to (a person, a word family). With `data.split.by: "
        "group` or `data.columns.split`, each row of `data.train` needs a group, and no group "
        "is in two splits. With `rows: pairs`, the quality on test is reported by group; for "
        "that alone, a file or a row may lack it. null: there is none.",
    )
    split: str | None = Field(
        None,
        min_length=1,
        description="Which split a row of `data.train` belongs to: train, validation or test. "
        "null: `data.split` decides.",
    )

    @model_validator(mode="after")
    def _are_distinct(self) -> "ColumnsConfig":
        optional = [name for name in (self.group, self.split) if name is not None]
        item = names_of(self.item)
        for names in (
            [*names_of(self.left), *names_of(self.right), self.label, *optional],
            [*item, self.id, self.item_class],
            [*item, self.id, *optional],
        ):
            if len(set(names)) != len(names):
                raise ValueError(
                    f"each column needs a name of its own (got {', '.join(names)})"
                )
        return self


class SplitConfig(Section):
    """How a split without a separate file is cut from the training file."""

    by: Literal["identity", "group", "row"] = Field(
        "identity",
        description="What must not straddle two splits. `identity`: of pairs, an item through "
        "however many pairs it connects; of labelled items, a class. `group`: a value of "
        "`data.columns.group`. `row`: nothing; honest only when no item repeats.",
    )
    validation_fraction: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the rows that goes to validation when `data.validation` is null.",
    )
    test_fraction: float = Field(
        0.1,
        gt=0.0,
        lt=1.0,
        description="Share of the rows that goes to test when `data.test` is null.",
    )

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> "SplitConfig":
        if self.validation_fraction + self.test_fraction >= 1.0:
            raise ValueError(
                "validation_fraction + test_fraction must stay below 1 "
                f"(got {self.validation_fraction} + {self.test_fraction})"
            )
        return self


class DataConfig(Section):
    """Where items and pairs come from, whatever an item is."""

    kind: str = Field(description="What an item is.")
    train: Names = Field(
        description="File to train on, relative to `data.root` or as `gs://bucket/name`: a "
        ".csv, .tsv or .jsonl file, plain or .gz; for `rows: items` also an .npz file or a "
        "folder that holds a folder for each class. A list: several files of one format, one "
        "after the other.",
    )
    validation: Names | None = Field(
        None,
        description="The same for validation. null: cut from `data.train` by `data.split`.",
    )
    test: Names | None = Field(
        None,
        description="The same for the final test. null: cut from `data.train` by `data.split`.",
    )
    rows: Literal["pairs", "items"] = Field(
        "pairs",
        description="What a row of these files is. `pairs`: two items and whether they match. "
        "`items`: an item and its class; two items match when their class is the same, and "
        "pairs are drawn as `data.sampling` says.",
    )
    items: str | None = Field(
        None,
        min_length=1,
        description="File that holds the items by an id, for pair files whose columns hold "
        "ids: .csv, .tsv, .jsonl, plain or .gz, or .npz. null: a pair file holds the items "
        "themselves, texts as they are and others as paths.",
    )
    root: str | None = Field(
        None,
        min_length=1,
        description="Folder or `gs://bucket/prefix` that data paths are relative to and may "
        "not leave. null: the folder of the configuration file.",
    )
    columns: ColumnsConfig = Field(
        default_factory=ColumnsConfig,
        description="Names of the columns, keys or arrays of the files.",
    )
    split: SplitConfig = Field(
        default_factory=SplitConfig,
        description="How a split without a separate file is cut from the training file.",
    )
    sampling: Sampling | None = Field(
        None,
        description="How pairs are drawn from labelled items. null: as kind `pairs` with its "
        "defaults. Only for `rows: items`.",
        json_schema_extra=default_kind("pairs"),
    )
    max_bad_fraction: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        description="Share of a file's rows that may be bad; they are rejected and reported. "
        "Above it the run stops (exit 3).",
    )
    packed: str | None = Field(
        None,
        min_length=1,
        description="Folder that `siamese-job data pack` made from this section, relative to "
        "the configuration file, or `gs://bucket/prefix`; it is read instead of the files, "
        "with the same result. null: the files are read.",
        json_schema_extra=MUTABLE,
    )
    mirror: str | None = Field(
        None,
        min_length=1,
        description="Folder that data from `gs://` is copied to before it is read, relative to "
        "the working directory; an intact copy is not copied again. null: a folder in the "
        "temporary folder of the system.",
        json_schema_extra=MUTABLE,
    )

    @property
    def has_classes(self) -> bool:
        """Whether the data say which class an item belongs to; pair files do not."""
        return self.rows == "items"

    @property
    def keeps_groups_whole(self) -> bool:
        """Whether rows of one group must be in one split, so that each needs a group."""
        is_split_by = self.split.by == "group" or self.columns.split is not None
        return self.columns.group is not None and is_split_by

    @property
    def sampling_or_default(self) -> Sampling:
        """How pairs are drawn from labelled items."""
        return self.sampling or PairSamplingConfig()

    @field_validator("train", "validation", "test", "items", "root", "packed")
    @classmethod
    def _can_be_read(cls, places: str | list[str] | None) -> str | list[str] | None:
        for place in names_of(places or ()):
            checked_place(place, allowed=DATA_PLACES)
        return places

    @field_validator("mirror")
    @classmethod
    def _is_a_folder(cls, place: str | None) -> str | None:
        return place and checked_place(place, allowed=FOLDERS)

    @model_validator(mode="after")
    def _group_is_named(self) -> "DataConfig":
        if self.split.by == "group" and self.columns.group is None:
            raise ValueError(
                "`split.by: group` needs `columns.group` (got null): name the column that says "
                "what a row belongs to"
            )
        return self

    @model_validator(mode="after")
    def _split_has_an_effect(self) -> "DataConfig":
        is_cut = self.columns.split is None and None in (self.validation, self.test)
        if not is_cut and self.split != SplitConfig():
            raise ValueError(
                "`split` has no effect: `columns.split`, or files of their own, say what "
                f"validation and test are (got split.by: {self.split.by}): leave `split` out"
            )
        for name, file in (("validation", self.validation), ("test", self.test)):
            fraction = f"{name}_fraction"
            share = getattr(self.split, fraction)
            if file is not None and share != SplitConfig.model_fields[fraction].default:
                raise ValueError(
                    f"`split.{fraction}` has no effect: `{name}` is a file of its own (got "
                    f"{share}): leave one of the two out"
                )
        is_used = self.rows == "pairs" or self.keeps_groups_whole
        if self.columns.group is not None and not is_used:
            raise ValueError(
                "`columns.group` has no effect: with `rows: items` it says what `split.by: "
                "group` keeps together, and is held against `columns.split` where there is one "
                f"(got columns.group: {self.columns.group}): set one of these, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _has_no_split_twice(self) -> "DataConfig":
        files = {"validation": self.validation, "test": self.test}
        given = [(name, file) for name, file in files.items() if file is not None]
        if self.columns.split is not None and given:
            name, file = given[0]
            raise ValueError(
                f"`columns.split` says which split a row of `train` belongs to, so `{name}` "
                f"cannot be a file of its own (got {name}: {to_yaml(file)}): leave one of the "
                "two out"
            )
        return self

    @model_validator(mode="after")
    def _lists_of_columns_are_texts(self) -> "DataConfig":
        columns = self.columns
        for name in ("left", "right", "item"):
            names = getattr(columns, name)
            if isinstance(names, str):
                continue
            if self.kind != "text":
                raise ValueError(
                    f"`columns.{name}` is a list of columns, which are joined to a text, so it "
                    f"needs `kind: text` (got kind: {self.kind}): name the one column that "
                    "holds the paths"
                )
            if name != "item" and self.items is not None:
                raise ValueError(
                    f"`columns.{name}` holds ids where there is a file of `items`, so it is "
                    f"one column (got {shown(names)}): name it, and list the columns of a text "
                    "in `columns.item`"
                )
        return self

    @model_validator(mode="after")
    def _rows_have_what_is_named(self) -> "DataConfig":
        if self.rows == "items" and self.items is not None:
            raise ValueError(
                "`items` is for pair files that hold ids; with `rows: items` the files hold "
                f"the items themselves (got items: {self.items}): leave `items` out"
            )
        if self.rows == "pairs" and self.sampling is not None:
            raise ValueError(
                "`sampling` has no effect on `rows: pairs`, whose files are the pairs (got "
                f"sampling.kind: {self.sampling.kind}): leave it out, or set `rows: items`"
            )
        return self


class TextDataConfig(DataConfig):
    """Items are strings."""

    kind: Literal["text"] = Field("text", description="What an item is.")
    tokens: Tokens = Field(
        default_factory=CharactersConfig, description="How a text is split into tokens."
    )
    max_length: int = Field(
        256,
        ge=1,
        le=65536,
        description="Longest item, in characters; a row with a longer one is quarantined.",
    )


class SequenceDataConfig(DataConfig):
    """Items are sequences of vectors."""

    kind: Literal["sequence"] = Field("sequence", description="What an item is.")
    num_features: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Length of a vector; a row with another one is quarantined. null: that of "
        "the first sequence of `data.train`.",
    )
    max_length: int = Field(
        16384,
        ge=1,
        le=1_000_000,
        description="Longest item, in time steps; a row with a longer one is quarantined.",
    )
    augmentation: SequenceAugmentationConfig | None = Field(
        None, description="Random changes of sequences while training. null: none."
    )


class ImageDataConfig(DataConfig):
    """Items are images."""

    kind: Literal["image"] = Field("image", description="What an item is.")
    size: int = Field(
        64,
        ge=8,
        le=1024,
        description="Width and height in pixels that every image is resized to.",
    )
    resize: Literal["pad", "stretch"] = Field(
        "pad",
        description="How an image becomes square. `pad`: with white borders. `stretch`: by "
        "changing its proportions.",
    )
    storage: Literal["encoded", "decoded"] = Field(
        "decoded",
        description="Form of an image in memory and in a packed data set. `encoded`: its PNG "
        "or JPEG bytes, decoded at each use. `decoded`: its pixels at `data.size`, 3 bytes "
        "each: faster, and larger unless the image is small.",
    )
    max_pixels: int = Field(
        50_000_000,
        ge=64,
        le=1_000_000_000,
        description="Most pixels an image may declare; a row with a larger image is "
        "quarantined before it is decoded.",
    )
    augmentation: ImageAugmentationConfig | None = Field(
        None, description="Random changes of images while training. null: none."
    )


Data = Annotated[
    TextDataConfig | SequenceDataConfig | ImageDataConfig, Field(discriminator="kind")
]
