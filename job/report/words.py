"""The numbers of a run in words and rows, for the page and for the card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from job.config.monitors import ALL_METRICS
from job.data.quarantine import sample_of
from job.report.facts import ReportFacts, WrongPair
from job.types import Kind

Interval = tuple[float, float]

_NO_METRICS = {"baseline_roc_auc"}

NOUNS: Mapping[Kind, str] = {"text": "texts", "image": "images", "sequence": "sequences"}


@dataclass(frozen=True)
class Verdict:
    """Whether the model is worth its training.

    Attributes:
        tone: `good`; `poor` for a model that is no better than an untrained baseline, or whose
            threshold does not meet its target.
        title: In a few words.
    """

    tone: Literal["good", "poor"]
    title: str


@dataclass(frozen=True)
class MetricRow:
    """A metric on both splits; what is not known is None."""

    name: str
    title: str
    test: float | None
    validation: float | None
    test_interval: Interval | None
    validation_interval: Interval | None


@dataclass(frozen=True)
class Decision:
    """What the threshold decides on a split, in counts."""

    true_positives: int
    false_positives: int
    missed: int
    rejected: int

    @property
    def precision(self) -> float | None:
        accepted = self.true_positives + self.false_positives
        return self.true_positives / accepted if accepted else None

    @property
    def recall(self) -> float:
        return self.true_positives / (self.true_positives + self.missed)

    @property
    def false_accept_rate(self) -> float:
        return self.false_positives / (self.false_positives + self.rejected)


@dataclass(frozen=True)
class Rival:
    """The model or a baseline, by ROC-AUC on test."""

    title: str
    roc_auc: float
    is_model: bool

    @property
    def share(self) -> float:
        """Length of its bar in percent: from 0.5, where chance is, to 1."""
        return round(max(0.0, min(1.0, (self.roc_auc - 0.5) / 0.5)) * 100, 2)


def verdict(facts: ReportFacts) -> Verdict:
    """Compares the model with the best untrained baseline, by ROC-AUC on test."""
    test = facts.summary["metrics"]["test"]
    interval = interval_of(facts.summary, "test", "roc_auc")
    model, baseline = test["roc_auc"], test["baseline_roc_auc"]
    if model <= baseline:
        return Verdict("poor", "Not better than an untrained baseline")
    if interval is not None and interval[0] <= baseline:
        return Verdict("poor", "Better than the baselines, but not beyond doubt")
    if not facts.summary["threshold_met"]:
        return Verdict("poor", "Better than the baselines, but short of its target")
    return Verdict("good", "Better than every untrained baseline")


def metric_rows(facts: ReportFacts) -> list[MetricRow]:
    """Every metric that both splits have, in the order of `ALL_METRICS`, then the others."""
    metrics = facts.summary["metrics"]
    found = [
        name
        for name in dict.fromkeys([*ALL_METRICS, *metrics["test"]])
        if any(isinstance(metrics[split].get(name), float) for split in metrics)
        and name not in _NO_METRICS
    ]
    return [
        MetricRow(
            name,
            ALL_METRICS[name].title if name in ALL_METRICS else name.replace("_", " "),
            metrics["test"].get(name),
            metrics["validation"].get(name),
            interval_of(facts.summary, "test", name),
            interval_of(facts.summary, "validation", name),
        )
        for name in found
    ]


def interval_of(summary: Mapping[str, Any], split: str, name: str) -> Interval | None:
    """The 95 % interval of a metric, if it has one."""
    found = summary["metrics"][split]["intervals"].get(name)
    return (float(found[0]), float(found[1])) if found else None


def rivals(facts: ReportFacts) -> list[Rival]:
    """The model and the baselines, best first."""
    test = facts.summary["metrics"]["test"]
    model = [Rival("this model", test["roc_auc"], True)]
    baselines = [
        Rival(name.replace("_", " "), value, False) for name, value in test["baselines"].items()
    ]
    return sorted([*model, *baselines], key=lambda one: -one.roc_auc)


def decision(facts: ReportFacts) -> Decision:
    """The counts on test at the threshold."""
    curve = facts.summary["curve"]
    at = curve["threshold"].index(facts.summary["threshold"])
    counts = curve["test"]
    true, false = counts["true_positives"][at], counts["false_positives"][at]
    return Decision(true, false, counts["num_positive"] - true, counts["num_negative"] - false)


def duration(seconds: float) -> str:
    """Seconds as people say them: `48 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def are_short(pairs: Sequence[WrongPair]) -> bool:
    """Whether many pairs fit side by side: texts of a few words."""
    texts = [item.text for pair in pairs for item in (pair.left, pair.right)]
    return all(text is not None and len(text) <= 40 for text in texts)


def target(summary: Mapping[str, Any]) -> str:
    """What the threshold was chosen for, in words."""
    wanted = str(summary["threshold_target"])
    names = {"accuracy": "best accuracy", "f1": "best F1", "eer": "equal error rates"}
    return names.get(wanted, wanted)


def is_calibrated(summary: Mapping[str, Any]) -> bool:
    """Whether the probabilities of the export are fitted to validation."""
    return bool(summary["calibration"]["kind"] != "none")


@dataclass(frozen=True)
class SliceRow:
    """A part of the test set; each value with its interval, either may be None.

    Attributes:
        title: What it is a part by, and which.
        is_worse: Whether it is worse than the whole beyond chance.
        num_pairs: Its pairs.
        num_positive: Its matches.
        values: In the order of `slice_metrics`.
    """

    title: str
    is_worse: bool
    num_pairs: int
    num_positive: int
    values: list[tuple[float | None, Interval | None]]


_SLICE_METRICS = ("balanced_accuracy", "roc_auc", "accuracy", "precision", "recall")


def slice_metrics(summary: Mapping[str, Any]) -> list[str]:
    """The metrics of slices that are shown, at most four."""
    known = {name for one in summary["slices"] for name in one["metrics"]}
    return [name for name in _SLICE_METRICS if name in known][:4]


def slice_title(one: Mapping[str, Any]) -> str:
    """What a slice of the summary is: `length 3 to 7`, or `class 'ada'`, cut if it is long."""
    name = one["name"] if one["group"] == "length" else sample_of(one["name"])
    return f"{one['group']} {name}"


def slice_rows(summary: Mapping[str, Any]) -> list[SliceRow]:
    """The slices of the summary, worst first by the first metric that is shown."""
    names = slice_metrics(summary)
    rows = [
        SliceRow(
            slice_title(one),
            one["is_worse"],
            one["num_pairs"],
            one["num_positive"],
            [(one["metrics"].get(name), one["intervals"].get(name)) for name in names],
        )
        for one in summary["slices"]
    ]
    return sorted(
        rows,
        key=lambda row: [value if value is not None else 2.0 for value, _ in row.values[:1]],
    )
