"""Looks at data: finds the files, says what their columns are, measures what rules ask for.

    looked = look(Path("train.csv"), given={}, seed=0)
    looked.facts.spelling

Reads as training reads, through the readers of `job.data`. A large file is measured on a
sample, so that the answer takes seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from job.config.data import Data
from job.config.names import names_of
from job.data.items.read_rows import read_rows
from job.data.quarantine import NOTHING_QUARANTINED, Quarantine
from job.data.sources.class_folders import walk
from job.data.sources.configured import DataSource, Role, resolve_sources
from job.data.sources.files import DataFiles
from job.errors import ConfigError
from job.init.advice import advising_on_init
from job.init.beside import survey_beside
from job.init.columns import Given, Roles, recognise, recognise_arrays
from job.init.facts import Facts
from job.init.files import FoundFiles, find_files
from job.init.measure_rows import facts_of
from job.init.sample import CLASS, MAX_ROWS, PATH, Cut, write_cut_folder, write_cut_table
from job.init.survey import Survey, longer_side, survey_arrays, survey_table
from job.storage.temporary import temporary_folder
from job.types import SPLITS, Split

_DATA: TypeAdapter[Data] = TypeAdapter(Data)
# Nothing is too long to be measured; the rules choose the limit of the configuration.
_LIMITS: Mapping[str, Mapping[str, int]] = {
    "text": {"max_length": 65_536},
    "sequence": {"max_length": 1_000_000},
    # The baseline compares images at half of this.
    "image": {"size": 32},
}
# A column keeps its default name unless it has another one.
_DEFAULT_NAMES = {"item_class": "class"}


@dataclass(frozen=True)
class Looked:
    """What was found.

    Attributes:
        files: The files.
        roles: What their columns are.
        facts: What was measured.
        unlike: The files of other splits that are left out, and why.
        quarantine: The rows that cannot be used, of those that were measured.
    """

    files: FoundFiles
    roles: Roles
    facts: Facts
    unlike: Mapping[str, str] = field(default_factory=dict)
    quarantine: Quarantine = NOTHING_QUARANTINED


def look(data: Path, *, given: Given, seed: int) -> Looked:
    """Looks at a file or folder, and at those of other splits beside it.

    Args:
        data: The file or folder.
        given: Flag (`left`, `right`, `label`, `item`, `class`) to the names of columns.
        seed: `run.seed`, which decides the splits.

    Raises:
        ConfigError: The columns do not say what they are.
        DataError: A file is missing, damaged, or has too few rows.
        PermissionDeniedError: A file or folder may not be read.
        DiskFullError: The temporary folder has no space for a sample of large files.
    """
    files = find_files(data)
    surveyed = _survey(files)
    roles = _roles(files, surveyed, given=given)
    beside = survey_beside(files, roles=roles)
    files = beside.files
    with temporary_folder("siamese-init-") as scratch:
        surveys = {} if surveyed is None else {"train": surveyed, **beside.surveys}
        section, sources, num_rows = _sources(files, roles, surveys, scratch=scratch)
        with advising_on_init():
            below = DataFiles.below(section.root, folder=files.folder)
            loaded = read_rows(section, sources=sources, files=below)
            facts = facts_of(
                loaded,
                section=section,
                roles=roles,
                origins={split: path.name for split, path in files.by_split.items()},
                num_rows=num_rows,
                seed=seed,
            )
    if roles.kind == "image":
        facts = replace(facts, image_side=_image_side(files, roles, surveyed))
    return Looked(files, roles, facts, beside.unlike, loaded.quarantine)


def section_of(
    roles: Roles, *, train: str, others: Mapping[Split, str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """The `data` section as a mapping.

    Args:
        roles: What the columns are.
        train: The training file.
        others: Those of validation and test.
        more: Further keys.
    """
    files: dict[str, Any] = {split: name for split, name in others.items()}
    section: dict[str, Any] = {"kind": roles.kind, "train": train, **files}
    if roles.rows == "items":
        section["rows"] = "items"
    columns = {
        key: name
        for key, name in roles.columns.items()
        if name != _DEFAULT_NAMES.get(key, key) or key in ("group", "split")
    }
    if "split" in columns and others:
        del columns["split"]
    is_split_by_group = "split" in columns or more.get("split", {}).get("by") == "group"
    if roles.rows == "items" and not is_split_by_group:
        columns.pop("group", None)  # of pairs, the quality is reported by group
    return {**section, **({"columns": columns} if columns else {}), **more}


def _image_side(files: FoundFiles, roles: Roles, survey: Survey | None) -> int:
    """Longer side of the images of an `.npz`, or of the middle one of some files."""
    if survey is None:
        return longer_side(files.train / entry.path for entry in walk(files.train))
    if survey.image_side:
        return survey.image_side
    name = roles.names[0]
    values = next(column.values for column in survey.columns if column.name == name)
    return longer_side(files.folder / value for value in values)


def _survey(files: FoundFiles) -> Survey | None:
    if files.form == "folder":
        return None
    return survey_arrays(files.train) if files.form == "arrays" else survey_table(files.train)


def _roles(files: FoundFiles, survey: Survey | None, *, given: Given) -> Roles:
    where = repr(files.train.name)
    if survey is None:
        if given:
            raise ConfigError(
                f"init: --{next(iter(given))} names a column, and {where} is a folder of "
                "images by class, which has none. Leave it out."
            )
        return Roles("items", "image", {}, "a folder of images for each class")
    if survey.kind is not None:
        return recognise_arrays(survey.columns, kind=survey.kind, given=given, where=where)
    return recognise(survey.columns, given=given, where=where)


def _sources(
    files: FoundFiles, roles: Roles, surveys: Mapping[Split, Survey], *, scratch: Path
) -> tuple[Data, dict[Role, tuple[DataSource, ...]], int]:
    """The section that is measured, where its rows are read from, and how many there are."""
    names = {split: path.name for split, path in files.by_split.items()}
    survey = surveys.get("train")  # None: folders
    if survey is None:
        names = {split: f"{name}.csv" for split, name in names.items()}
        roles = replace(roles, columns={"item": PATH, "item_class": CLASS})
    train = names.pop("train")
    more = {"root": str(files.folder), **_LIMITS[roles.kind], "max_bad_fraction": 1.0}
    if survey is not None and _is_cut_by_group(survey, roles, others=names):
        more["split"] = {"by": "group"}
    mapping = section_of(roles, train=train, others=names, more=more)
    section = _DATA.validate_python(mapping)
    limit, num_rows = MAX_ROWS[roles.kind], 0
    if survey is None:
        cut: dict[Role, tuple[DataSource, ...]] = {}
        for split, folder in files.by_split.items():
            path = scratch / f"{split}.csv"
            count = write_cut_folder(folder, path, limit=limit)
            num_rows = num_rows or count
            cut[split] = (DataSource(f"data.{split}", path.name, path, "table"),)
        return section, cut, num_rows
    below = DataFiles.below(section.root, folder=files.folder)
    sources = dict(resolve_sources(section, files=below))
    if survey.kind is None:
        for split, path in files.by_split.items():
            target = scratch / f"{split}.csv"
            short = _cut(path, roles, surveys[split], limit=limit, target=target)
            if short is not None:
                (source,) = sources[split]
                sources[split] = (replace(source, path=short, name=short.name),)
    return section, sources, survey.num_rows


def _is_cut_by_group(survey: Survey, roles: Roles, *, others: Mapping[Split, str]) -> bool:
    """Whether a cut keeps each group in one split; a row without a group is a bad row then."""
    if "split" in roles.columns and not others:
        return False
    num_cut = len(SPLITS) - len(others)
    name = roles.columns.get("group")
    groups = [column for column in survey.columns if column.name == name]
    # Fewer groups than splits would leave one of them empty.
    return num_cut > 1 and any(c.num_distinct - ("" in c.values) >= num_cut for c in groups)


def _cut(path: Path, roles: Roles, survey: Survey, *, limit: int, target: Path) -> Path | None:
    """A shorter copy of a table, by its own survey; None if it is short enough."""
    columns = roles.names
    class_column = next(iter(names_of(roles.columns.get("item_class", []))), None)
    num_classes = next((c.num_distinct for c in survey.columns if c.name == class_column), 0)
    cut = Cut.to(limit, num_rows=survey.num_rows, num_classes=num_classes)
    if cut.one_in == 1:
        return None
    write_cut_table(path, target, cut=cut, columns=columns, class_column=class_column)
    return target
