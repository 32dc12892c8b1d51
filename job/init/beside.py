"""Surveys the files of other splits, and leaves out those that are unlike the training file.

    surveyed = survey_beside(files, roles=roles)
    surveyed.files.others, surveyed.unlike

A `test.csv` beside `train.csv` is a split of the same data only if it has the same columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from job.data.sources.table import Table
from job.init.columns import Roles
from job.init.files import FoundFiles
from job.init.survey import Survey, survey_arrays, survey_table
from job.types import Split


@dataclass(frozen=True)
class Beside:
    """What lies beside the training file.

    Attributes:
        files: The files without those that are unlike.
        surveys: What each of the others holds.
        unlike: The file of a split that is left out, and why.
    """

    files: FoundFiles
    surveys: Mapping[Split, Survey]
    unlike: Mapping[str, str]


def survey_beside(files: FoundFiles, *, roles: Roles) -> Beside:
    """Surveys the files of the other splits.

    Args:
        files: All files; folders of class folders have no columns, so all are alike.
        roles: What the columns of the training file are.

    Raises:
        DataError: A file is empty or damaged.
        PermissionDeniedError: A file may not be read.
    """
    if files.form == "folder":
        return Beside(files, {}, {})
    surveys: dict[Split, Survey] = {}
    unlike: dict[str, str] = {}
    for split, path in files.others.items():
        survey, why = _arrays(path, roles) if files.form == "arrays" else _table(path, roles)
        if survey is None:
            unlike[path.name] = why
        else:
            surveys[split] = survey
    alike = {split: path for split, path in files.others.items() if split in surveys}
    return Beside(replace(files, others=alike), surveys, unlike)


def _table(path: Path, roles: Roles) -> tuple[Survey | None, str]:
    # The header first: a list of one column is no table of `survey_table`.
    header = Table(path, key="init", name=path.name).header()
    if header is not None and (why := _lacking(header, roles)):
        return None, why
    survey = survey_table(path)
    why = _lacking([column.name for column in survey.columns], roles)
    return (None, why) if why else (survey, "")


def _arrays(path: Path, roles: Roles) -> tuple[Survey | None, str]:
    survey = survey_arrays(path)
    if survey.kind != roles.kind:
        return None, f"it holds items of kind {survey.kind}"
    why = _lacking([column.name for column in survey.columns], roles)
    return (None, why) if why else (survey, "")


def _lacking(header: Sequence[str], roles: Roles) -> str:
    # Beside files of other splits the column `split` is not needed, nor in them `group`.
    spare = [roles.columns.get(key) for key in ("split", "group")]
    missing = [name for name in roles.names if name not in spare and name not in header]
    return f"it has no column {', '.join(map(repr, missing))}" if missing else ""
