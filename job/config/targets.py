"""What `evaluation.threshold` asks for, read from its text.

parse_goal("f1")  # Criterion("f1")
parse_goal("precision >= 0.99")  # Target("precision", 0.99)
parse_goal("cost(false_accept=5, false_reject=1)")  # Cost(5.0, 1.0)
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, WithJsonSchema

from job.config.section import PATTERN_RULE
from job.config.suggest import did_you_mean

CriterionName = Literal["accuracy", "f1", "eer"]
TargetName = Literal["precision", "recall", "false_accepts"]

CRITERIA: tuple[CriterionName, ...] = get_args(CriterionName)
TARGETS: tuple[TargetName, ...] = get_args(TargetName)
# The side of the number that is wanted.
_SIDE = {"precision": ">=", "recall": ">=", "false_accepts": "<="}

_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?"
_TARGET = re.compile(rf"(\w+)\s*(>=|<=|=>|=<|==|=|>|<)\s*({_NUMBER})\s*(%?)")
_COST = re.compile(
    rf"cost\(\s*false_accept\s*=\s*({_NUMBER})\s*,\s*false_reject\s*=\s*({_NUMBER})\s*\)"
)
_FORMS = (
    "accuracy, f1, eer, `precision >= 0.99`, `recall >= 0.9`, `false_accepts <= 0.001` or "
    "`cost(false_accept=5, false_reject=1)`"
)


@dataclass(frozen=True)
class Criterion:
    """The threshold that is best by a measure.

    Attributes:
        name: `accuracy` and `f1` are maximised; `eer` makes false accepts as frequent as false
            rejects.
    """

    name: CriterionName

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Target:
    """A rate that new pairs shall keep, with a stated confidence.

    Attributes:
        name: `precision`, `recall`, or `false_accepts`, the share of accepted non-matches.
        value: In (0, 1).
    """

    name: TargetName
    value: float

    def __str__(self) -> str:
        return f"{self.name} {_SIDE[self.name]} {_plain(self.value)}"


@dataclass(frozen=True)
class Cost:
    """The threshold whose errors cost least.

    Attributes:
        false_accept: Cost of a non-match that is accepted, > 0.
        false_reject: Cost of a match that is rejected, > 0.
    """

    false_accept: float
    false_reject: float

    def __str__(self) -> str:
        accept, reject = _plain(self.false_accept), _plain(self.false_reject)
        return f"cost(false_accept={accept}, false_reject={reject})"


Goal = Criterion | Target | Cost


def parse_goal(text: str) -> Goal:
    """Reads a goal.

    Raises:
        ValueError: The text is none; it says what is allowed.
    """
    wanted = text.strip()
    if wanted in CRITERIA:
        return Criterion(wanted)
    if cost := _COST.fullmatch(wanted):
        return _cost(float(cost[1]), float(cost[2]), text=text)
    if target := _TARGET.fullmatch(wanted):
        return _target(*target.groups(), text=text)
    known = [*CRITERIA, *TARGETS]
    raise ValueError(f"must be {_FORMS} (got {text!r}).{did_you_mean(wanted, known)}".rstrip())


def _target(name: str, side: str, number: str, percent: str, *, text: str) -> Target:
    if name not in TARGETS:
        raise ValueError(
            f"there is no target {name!r} (got {text!r}).{did_you_mean(name, TARGETS)} Known: "
            f"{', '.join(TARGETS)}"
        )
    if percent or side != _SIDE[name]:
        value = float(number) / (100 if percent else 1)
        raise ValueError(
            f"write it as `{name} {_SIDE[name]} {value:g}`, a share between 0 and 1 (got "
            f"{text!r})"
        )
    value = float(number)
    if not 0.0 < value < 1.0:
        raise ValueError(
            f"{name} must be above 0 and below 1, because no number of pairs proves an error "
            f"rate of 0 (got {text!r}). For 99.9 % write `{name} {_SIDE[name]} "
            f"{'0.001' if name == 'false_accepts' else '0.999'}`"
        )
    return Target(name, value)


def _cost(false_accept: float, false_reject: float, *, text: str) -> Cost:
    if not (0.0 < false_accept < math.inf and 0.0 < false_reject < math.inf):
        raise ValueError(
            f"both costs must be above 0 and finite, else one decision is always best (got "
            f"{text!r})"
        )
    return Cost(false_accept, false_reject)


def _plain(number: float) -> str:
    """The shortest text that reads back as the same number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _is_goal(text: str) -> str:
    return str(parse_goal(text))


_NUMBERS = _NUMBER.replace("?:", "")
GoalText = Annotated[
    str,
    AfterValidator(_is_goal),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": (
                rf"^\s*(accuracy|f1|eer|(precision|recall)\s*>=\s*({_NUMBERS})"
                rf"|false_accepts\s*<=\s*({_NUMBERS})"
                rf"|cost\(\s*false_accept\s*=\s*({_NUMBERS})\s*,\s*false_reject\s*=\s*"
                rf"({_NUMBERS})\s*\))\s*$"
            ),
            PATTERN_RULE: _FORMS,
        }
    ),
]
