"""`run.init_from`: weights of another run or of an exported model, for a run that starts."""

import json
import logging
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.examine import read_contents, read_run
from job.checkpoints.layout import CONFIG, list_dirs
from job.checkpoints.restore import read_head
from job.data.dataset import Dataset
from job.errors import CheckpointError, ConfigError
from job.models.siamese import AVERAGE, Siamese
from job.preprocessing.vocabulary import Vocabulary
from job.run.context import RunContext
from job.run.directory import RunDirectory
from job.storage.object_store import ObjectMissingError, ObjectStore
from job.storage.open_store import open_store
from job.storage.os_errors import RUNS
from job.storage.temporary import temporary_folder
from job.training.state import write_variables
from job.types import Json

log = logging.getLogger(__name__)

_MODEL = "pair_model.keras"
_VOCABULARY = "vocabulary.json"
_SHOWN_TOKENS = 5


@dataclass(frozen=True)
class Source:
    """The weights that a run starts from.

    Attributes:
        weights: Arrays by the keys of `Siamese.weights`. A large one from a run is flat.
        vocabulary: The record of its vocabulary; None if it is not known.
        description: What was read, for the log.
    """

    weights: Mapping[str, np.ndarray]
    vocabulary: Mapping[str, Json] | None
    description: str


def initialise(
    run: RunContext, directory: RunDirectory, siamese: Siamese, dataset: Dataset
) -> None:
    """Gives a run that starts the weights of `run.init_from`; a resume replaces them.

    Raises:
        ConfigError: They do not exist, or do not fit the model or its vocabulary.
        CheckpointError: They are damaged.
    """
    uri = run.config.run.init_from
    if uri is None or not _may_start(directory):
        return
    weights = siamese.weights()
    source = _read(run, uri, keys=list(weights))
    _require_vocabulary(source, dataset.statistics, uri=uri)
    _require_shapes(source.weights, weights, uri=uri)
    fitting = {key: source.weights[key].reshape(weights[key].shape) for key in weights}
    write_variables(weights, fitting)
    if siamese.averages:
        siamese.averages.restart()
    log.info("initial weights", extra={"source": uri, "what": source.description})


def _may_start(directory: RunDirectory) -> bool:
    """Whether there is no checkpoint to resume from, as far as can be told before the lease."""
    if directory.stored is None:
        return True
    head = read_head(directory.store)
    if head is not None and head.lineage == directory.stored.lineage:
        return not head.checkpoints
    return not list_dirs(directory.store).committed


def _read(run: RunContext, uri: str, *, keys: list[str]) -> Source:
    folder, name = (uri, _MODEL)
    if uri.endswith(".keras"):
        folder, _, name = uri.rpartition("/")
        # A file in the working directory or in the root of the file system.
        folder = folder or ("/" if uri.startswith("/") else ".")
    store = open_store(
        folder,
        allow_emulator=run.config.run.allow_emulator,
        outage_budget_seconds=run.config.checkpoint.outage_budget_seconds,
        sleep=run.stop.sleep,
        env=os.environ,
        purpose=RUNS.at("run.init_from"),
    )
    if folder == uri and store.stat(CONFIG) is not None:
        return _from_run(store, uri=uri)
    try:
        data = store.read(name).data
    except ObjectMissingError as error:
        raise ConfigError(
            f"run.init_from: '{uri}' contains neither {CONFIG} nor {name}. Give the directory "
            f"of a run (<run.root>/<run.name>), an export directory, or a {_MODEL}."
        ) from error
    model = _load_model(data, uri=uri)
    arrays = [variable.value.numpy() for variable in model.weights]
    if len(arrays) != len(keys):
        raise ConfigError(
            f"run.init_from: '{uri}' has {len(arrays)} arrays of weights, this model has "
            f"{len(keys)}. Both must have the same layers. Use the source's model section."
        )
    return Source(
        dict(zip(keys, arrays, strict=True)), _record(store, _VOCABULARY), "exported model"
    )


def _from_run(store: ObjectStore, *, uri: str) -> Source:
    source = read_run(store)
    entry = source.head.best or next(iter(reversed(source.head.checkpoints)), None)
    if entry is None:
        raise ConfigError(
            f"run.init_from: '{uri}' is a run without a checkpoint. Train it first, or leave "
            "run.init_from null."
        )
    try:
        contents = read_contents(store, entry, identity=source.identity, wants_weights=True)
    except DamagedError as error:
        raise CheckpointError(
            f"run.init_from: {store.uri}/{entry.dir}: {error}. It must be what was committed. "
            "Use another run, or restore this one from a copy."
        ) from error
    name = f"export/{_VOCABULARY}"
    vocabulary = _record(store, source.head.results.get(name, name))
    which = "best" if entry is source.head.best else "last"
    description = f"{which} weights, step {entry.step}"
    return Source(_as_evaluated(contents.variables), vocabulary, description)


def _as_evaluated(variables: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Variables of a run with the averages of weights, if it has them, in their place."""
    own = {key: value for key, value in variables.items() if not key.startswith(AVERAGE)}
    averages = {
        f"model|{key.removeprefix(AVERAGE)}": value
        for key, value in variables.items()
        if key.startswith(AVERAGE)
    }
    return own | averages


def _record(store: ObjectStore, name: str) -> Mapping[str, Json] | None:
    try:
        record = json.loads(store.read(name).data)
    except (ObjectMissingError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _load_model(data: bytes, *, uri: str) -> keras.Model:
    with temporary_folder("siamese-model-") as folder:
        path = folder / _MODEL
        path.write_bytes(data)
        try:
            return keras.models.load_model(path, compile=False)
        except (ValueError, TypeError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"run.init_from: '{uri}' cannot be loaded as a Keras model ({error}). It must "
                f"be a {_MODEL} that siamese-job exported. Export it again."
            ) from error


def _require_vocabulary(source: Source, mine: object, *, uri: str) -> None:
    if not isinstance(mine, Vocabulary):
        return
    if source.vocabulary is None:
        log.warning(
            "vocabulary not compared",
            extra={"source": uri, "why": f"it has no export/{_VOCABULARY}"},
        )
        return
    kind, tokens = source.vocabulary.get("kind"), source.vocabulary.get("tokens")
    theirs = [str(one) for one in tokens] if isinstance(tokens, list) else []
    if kind == mine.kind and theirs == list(mine.tokens):
        return
    missing = sorted(set(theirs) - set(mine.tokens))[:_SHOWN_TOKENS]
    added = sorted(set(mine.tokens) - set(theirs))[:_SHOWN_TOKENS]
    raise ConfigError(
        f"run.init_from: '{uri}' has a vocabulary of {len(theirs)} {kind}, this data has "
        f"{len(mine.tokens)} {mine.kind} (only there: {missing}, only here: {added}). An "
        "embedding belongs to one token, so both must be equal. Use the same training texts "
        "and data.tokens, or leave run.init_from null."
    )


def _require_shapes(
    source: Mapping[str, np.ndarray], weights: Mapping[str, Any], *, uri: str
) -> None:
    for key, variable in weights.items():
        shape, found = tuple(variable.shape), source.get(key)
        if found is not None and (
            found.shape == shape or (found.ndim == 1 and found.size == np.prod(shape))
        ):
            continue
        theirs = "none" if found is None else str(found.shape)
        raise ConfigError(
            f"run.init_from: {key.partition('|')[2]} has shape {shape} in this model, {theirs} "
            f"in '{uri}'. All shapes must be equal. Use the source's model section."
        )
    extra = next((key for key in source if _is_layer(key) and key not in weights), None)
    if extra is not None:
        raise ConfigError(
            f"run.init_from: '{uri}' has {extra.partition('|')[2]}, this model does not. Both "
            "must have the same layers. Use the source's model section."
        )


def _is_layer(key: str) -> bool:
    return key.startswith("model|") and "seed_generator" not in key
