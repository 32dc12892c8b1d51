"""What a store is used for, in the words of the messages about it.

A person who mistyped `data.root` must not be sent to `run.root`::

    open_store("gs://sets/faces", purpose=DATA.at("data.train"))
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Purpose:
    """The words that differ.

    Attributes:
        key: The setting that says where the store is, as a person types it.
        content: What lives there.
        role: Role of Cloud Storage that holds every permission needed.
        when_full: What makes room on a full disk, ending in ", "; "" where nothing else does.
        afterwards: What the next start does, to be read after "start again:".
    """

    key: str
    content: str
    role: str
    when_full: str
    afterwards: str

    def at(self, key: str) -> "Purpose":
        """The same for a store that another setting names."""
        return replace(self, key=key)


RUNS = Purpose(
    key="run.root",
    content="a run",
    role="roles/storage.objectUser",
    when_full="lower checkpoint.keep_last, ",
    afterwards="the run goes on from its last commit",
)
DATA = Purpose(
    key="data.root",
    content="copies of data",
    role="roles/storage.objectViewer",
    when_full="",
    afterwards="what was copied whole is not copied again",
)
PACKS = Purpose(
    key="OUT",
    content="a packed data set",
    role="roles/storage.objectUser",
    when_full="",
    afterwards="packing begins anew",
)
