"""The declared families as live metrics of one run: every value goes through here.

It keeps the promises of `telemetry.families`: the label `run` is always set, a closed label
takes only its values, and what must be there from the start is. `telemetry.metrics` has the
methods that callers use::

    families = BoundFamilies(CollectorRegistry(), run="quora", chief=True)
    families.set("loss", 0.31, split="validation")
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from job.telemetry.metric_definitions import FAMILIES, Family, Label


class BoundFamilies:
    """The families, registered, with their label `run` bound.

    Args:
        registry: Where they are registered.
        run: Value of the label `run`.
        chief: Whether the chief's families are given their series from the start, too.
    """

    def __init__(self, registry: CollectorRegistry, *, run: str, chief: bool) -> None:
        self._run = _label_value(run)
        self._families = {family.name: family for family in FAMILIES}
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._timers: dict[str, Histogram | Summary] = {}
        for family in FAMILIES:
            self._register(family, registry)
            if family.from_start and (chief or family.scope == "every worker"):
                self._start_at_zero(family)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Sets a gauge; `name` without prefix, `labels` without `run`."""
        self._gauges[name].labels(**self._checked(name, labels)).set(value)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to a counter; `amount` >= 0."""
        self._counters[name].labels(**self._checked(name, labels)).inc(amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Adds a duration to a histogram or a summary."""
        self._timers[name].labels(**self._checked(name, labels)).observe(seconds)

    def describe(self, name: str, labels: Mapping[str, object]) -> None:
        """Sets an info gauge to 1 under the given labels, and forgets what it said before.

        Args:
            name: Family, without prefix.
            labels: All its labels but `run`.

        Raises:
            ValueError: A label is missing or unknown.
        """
        checked = self._checked(name, {key: str(value) for key, value in labels.items()})
        self._gauges[name].clear()
        self._gauges[name].labels(**checked).set(1)

    def _register(self, family: Family, registry: CollectorRegistry) -> None:
        names = ("run", *(label.name for label in family.labels))
        if family.kind == "gauge":
            self._gauges[family.name] = Gauge(
                family.full_name, family.help, names, registry=registry
            )
        elif family.kind == "counter":
            self._counters[family.name] = Counter(
                family.full_name, family.help, names, registry=registry
            )
        elif family.kind == "summary":
            self._timers[family.name] = Summary(
                family.full_name, family.help, names, registry=registry
            )
        else:
            self._timers[family.name] = Histogram(
                family.full_name, family.help, names, registry=registry, buckets=family.buckets
            )

    def _start_at_zero(self, family: Family) -> None:
        # Asking for a child is what creates its series, at 0.
        by_kind: dict[str, Mapping[str, Gauge | Counter | Histogram | Summary]] = {
            "gauge": self._gauges,
            "counter": self._counters,
            "summary": self._timers,
            "histogram": self._timers,
        }
        for labels in family.known_label_sets():
            by_kind[family.kind][family.name].labels(run=self._run, **labels)

    def _checked(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        family = self._families[name]
        expected = [label.name for label in family.labels]
        if sorted(labels) != sorted(expected):
            raise ValueError(
                f"{family.full_name}: got the labels {sorted(labels)}, it takes "
                f"{sorted(expected)}. Give exactly those."
            )
        for label in family.labels:
            _check_closed(family, label, labels[label.name])
        values = {key: _label_value(value) for key, value in labels.items()}
        return {"run": self._run, **values}


def _check_closed(family: Family, label: Label, value: str) -> None:
    if label.values and value not in label.values:
        raise ValueError(
            f"{family.full_name}: got {label.name}={value!r}, it is one of "
            f"{', '.join(label.values)}. Declare new values in "
            "job/telemetry/metric_definitions.py."
        )


def _label_value(text: str) -> str:
    # The exposition is UTF-8: one lone surrogate in one label would fail every scrape.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
