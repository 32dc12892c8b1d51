"""Finds an export: in the folder or bucket of a run, or in a folder of its own. No TensorFlow.

A run has published its export when HEAD.json names it, so what is found is complete::

    stored = find_export("runs/typos")
    stored.manifest.data.kind
    stored.copy(folder, ["vocabulary.json"])
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from job.checkpoints.layout import CONFIG
from job.checkpoints.records import RECORD_LIMIT_BYTES, Head
from job.checkpoints.restore import read_head
from job.errors import ConfigError, DataError
from job.export.manifest import FILE, Manifest
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from job.storage.open_store import open_store

FOLDER = "export"
_SAVED_MODEL = "saved_model.pb"
# The reference histograms and a hash of each file: far less.
_LIMIT_BYTES = max(RECORD_LIMIT_BYTES, 1 << 24)


@dataclass(frozen=True)
class StoredExport:
    """An export where it is stored.

    Attributes:
        place: What named it, for messages.
        manifest: Its manifest.
        store: Where its files are.
        names: Name in the store of each file, by its name in the export; without an entry both
            are the same.
    """

    place: str
    manifest: Manifest
    store: ObjectStore
    names: Mapping[str, str]

    def copy(self, folder: Path, files: Iterable[str]) -> None:
        """Writes files of the export to a folder of this machine, when their hashes agree.

        Raises:
            DataError: One is missing or is not the one that was exported.
        """
        for file in files:
            name = self.names.get(file, file)
            try:
                data = self.store.read(name).data
            except ObjectMissingError as error:
                raise self._damaged(f"{name} is missing") from error
            if hashlib.sha256(data).hexdigest() != self.manifest.sha256.get(file):
                raise self._damaged(f"{name} is not what was exported (another sha256)")
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def _damaged(self, what: str) -> DataError:
        return DataError(
            f"{self.place}: the export is damaged: {what}. Copy all of it again, or start the "
            "same `siamese-job train --from STEP`, which exports again."
        )


def find_export(
    place: str | Path, *, open_place: Callable[[str], ObjectStore] = open_store
) -> StoredExport:
    """Finds the export of a run, or opens an export.

    Args:
        place: The folder or URI of a run or of an export.
        open_place: Opens a folder or a URI.

    Raises:
        ConfigError: There is no run and no export, the run has not exported yet or does not
            export, or another release has exported.
        DataError: The export is damaged.
    """
    shown = str(place)
    store = open_place(shown)
    data = _read(store, FILE)
    if data is not None:
        manifest = Manifest.decode(data, where=f"{shown}/{FILE}")
        return StoredExport(shown, manifest, store, {})
    head = read_head(store)
    if head is None:
        raise _nothing_there(shown, store)
    prefix = f"{FOLDER}/"
    names = {
        file.removeprefix(prefix): name
        for file, name in head.results.items()
        if file.startswith(prefix)
    }
    if FILE not in names:
        raise _not_exported(shown, head)
    data = _read(store, names[FILE])
    if data is None:
        raise DataError(
            f"{shown}: {names[FILE]}, which HEAD.json names, is missing. Restore it from a "
            "copy."
        )
    manifest = Manifest.decode(data, where=f"{shown}/{names[FILE]}")
    return StoredExport(shown, manifest, store, names)


def _read(store: ObjectStore, name: str) -> bytes | None:
    try:
        return store.read(name, limit_bytes=_LIMIT_BYTES).data
    except ObjectMissingError:
        return None
    except ObjectTooLargeError as error:
        raise DataError(
            f"{store.uri}/{name} is not the manifest of an export: {error}."
        ) from error


def _nothing_there(place: str, store: ObjectStore) -> ConfigError:
    if store.stat(CONFIG) is not None:
        return ConfigError(
            f"{place}: this run has begun and has committed nothing yet. `siamese-job train` "
            "with its configuration finishes it."
        )
    hint = "Check the path."
    if store.stat(_SAVED_MODEL) is not None:
        hint = f"This is the SavedModel alone: give the folder above it, which holds {FILE}."
    elif Path(place).suffix in (".yaml", ".yml"):
        hint = "This is a configuration: give the folder of its run, <run.root>/<run.name>."
    return ConfigError(
        f"{place}: there is neither a run (HEAD.json) nor an export ({FILE}). Give the folder "
        f"or the gs:// URI of a finished run, or of its export. {hint}"
    )


def _not_exported(place: str, head: Head) -> ConfigError:
    if head.results:
        return ConfigError(
            f"{place}: run {head.run} has finished and has no export. `siamese-job train` with "
            "export.enabled: true and --from STEP exports it."
        )
    why = f" ({head.reason})" if head.reason else ""
    return ConfigError(
        f"{place}: run {head.run} has not finished: its status is {head.status!r}{why}. A run "
        "exports its model at the end: start the same `siamese-job train` again."
    )
