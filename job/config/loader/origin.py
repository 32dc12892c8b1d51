"""Where a setting comes from, as a message and as `config show --origin` name it."""

from dataclasses import dataclass
from enum import IntEnum


class Layer(IntEnum):
    """What may set a value; a later one wins."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    SET = 3


@dataclass(frozen=True)
class Origin:
    """The place one value, or key, was given.

    Attributes:
        layer: Which layer it belongs to.
        order: Position within the layer, for sorting messages.
        where: How a message begins, as in `run.yaml:3:5` or `--set run.name`.
        label: How `show --origin` names it, as in `run.yaml:3` or `--set`.
        key: The dotted key that `where` names already, "" when it names none.
    """

    layer: Layer
    order: tuple[int, int]
    where: str
    label: str
    key: str = ""


DEFAULT = Origin(Layer.DEFAULT, (0, 0), "default", "default")


def file_origin(path: str, *, line: int, column: int) -> Origin:
    """The origin of what stands at a place in the configuration file."""
    return Origin(Layer.FILE, (line, column), f"{path}:{line}:{column}", f"{path}:{line}")


def environment_origin(name: str, *, key: str, index: int) -> Origin:
    """The origin of what the environment variable `name` gives."""
    return Origin(Layer.ENVIRONMENT, (index, 0), f"environment {name}", f"env {name}", key)


def set_origin(key: str, *, index: int) -> Origin:
    """The origin of what the `index`-th `--set` gives."""
    return Origin(Layer.SET, (index, 0), f"--set {key}", "--set", key)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the configuration.

    Attributes:
        origin: Where.
        key: The dotted key it concerns, "" when there is none.
        text: What was received, what is allowed, what to do.
    """

    origin: Origin
    key: str
    text: str

    def line(self) -> str:
        """The message: place, key, what is wrong."""
        named = [self.key] if self.key and self.key != self.origin.key else []
        end = "" if self.text.endswith((".", "?")) else "."
        return ": ".join([self.origin.where, *named, self.text]) + end


def in_order(problems: list[Problem]) -> list[Problem]:
    """Sorts by layer and place, as a person works through them."""
    return sorted(problems, key=lambda problem: (problem.origin.layer, problem.origin.order))
