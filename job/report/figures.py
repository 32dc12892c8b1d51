"""Which charts the report has, from facts to documents. E epochs, P pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
from bokeh.models import NumeralTickFormatter, Range1d
from numpy.typing import NDArray

from job.report import words
from job.report.bands import quality_curves
from job.report.charts import Chart, Document, small_multiples
from job.report.facts import ReportFacts, ScoredPairs

Documents = dict[str, Document]

_BINS = 40
_FEW_EPOCHS = 40


def documents(facts: ReportFacts) -> Documents:
    """Every chart by its name in the page."""
    drawn = _learning(facts)
    drawn["scores"] = _scores(facts.test, threshold=facts.summary["threshold"])
    drawn |= _quality(facts, facts.test)
    for pair in facts.wrong:
        if pair.left.steps is not None and pair.right.steps is not None:
            drawn[f"pair_{pair.number}"] = small_multiples(pair.left.steps, pair.right.steps)
    return drawn


def _learning(facts: ReportFacts) -> Documents:
    history, monitor = facts.history, facts.monitor
    if not history:
        return {}
    shown: dict[str, Sequence[tuple[str, str]]] = {
        "loss": (("loss", "orange"), ("val_loss", "blue")),
        "quality": _monitored(monitor),
        "rate": (("learning_rate", "violet"),),
    }
    labels = {"loss": "loss", "quality": "quality", "rate": "learning rate"}
    return {
        name: _epochs(facts, series, label=labels[name])
        for name, series in shown.items()
        if any(key in history[0] for key, _ in series)
    }


def _monitored(monitor: str) -> Sequence[tuple[str, str]]:
    own = (
        ()
        if monitor in ("val_loss", "loss", "val_roc_auc", "accuracy")
        else ((monitor, "green"),)
    )
    return (("val_roc_auc", "blue"), *own, ("accuracy", "orange"))[:3]


def _epochs(facts: ReportFacts, series: Sequence[tuple[str, str]], *, label: str) -> Document:
    count = len(facts.history)
    chart = Chart("epoch", label, x_range=(min(0.5, 1 - 0.04 * count), count + 0.5))
    epochs = np.arange(1, count + 1)
    digits = "0.000000" if label == "learning rate" else "0.0000"
    for name, colour in series:
        values = _series(facts.history, name)
        if np.isfinite(values).any():
            drawn = chart.line(epochs, values, colour=colour, points=count <= _FEW_EPOCHS)
            chart.hover(drawn, [("epoch", "@x{0}"), (name, f"@y{{{digits}}}")])
    if label == "learning rate":
        chart.plot.y_range = Range1d(0.0, 1.1 * float(np.nanmax(_series(facts.history, name))))
        chart.y_axis.formatter = NumeralTickFormatter(format="0.[00000000]")
    if best := facts.summary["best"]:
        chart.marker(best["epoch"], colour="green", dash="dashed")
    for restart in facts.restarts:
        chart.marker(restart, colour="red", dash="dotted")
    chart.x_axis.ticker.min_interval = 1
    return chart.document()


def _series(history: Sequence[Mapping[str, float]], name: str) -> NDArray[np.float64]:
    return np.array([epoch.get(name, np.nan) for epoch in history], np.float64)


def _scores(pairs: ScoredPairs, *, threshold: float) -> Document:
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    chart = Chart("score", "share of pairs with that label", x_range=(0.0, 1.0))
    for label, colour in ((False, "orange"), (True, "blue")):
        scores = pairs.score[pairs.label == label]
        share = np.histogram(scores, edges)[0] / max(len(scores), 1)
        chart.bars(edges, share, colour=colour)
    chart.marker(threshold, colour="ink", width=2.0, name="threshold")
    chart.percent()
    chart.plot.y_range.start = 0.0
    return chart.document()


def _quality(facts: ReportFacts, pairs: ScoredPairs) -> Documents:
    curves = quality_curves(pairs)
    roc = _unit_square("false positive rate", "true positive rate")
    roc.guide([0, 1], [0, 1])
    roc.band(curves.roc, colour="blue")
    line = roc.line(curves.roc.x, curves.roc.y, colour="blue")
    roc.hover(line, [("false positive rate", "@x{0.0 %}"), ("true positive rate", "@y{0.0 %}")])
    precision = _unit_square("recall", "precision")
    share = float(pairs.label.mean())
    precision.guide([0, 1], [share, share])
    precision.band(curves.precision_recall, colour="blue")
    drawn = curves.precision_recall
    line = precision.line(drawn.x, drawn.y, colour="blue")
    precision.hover(line, [("recall", "@x{0.0 %}"), ("precision", "@y{0.0 %}")])
    calibration = _unit_square("predicted probability", "share of matches")
    calibration.guide([0, 1], [0, 1])
    calibration.whiskers(curves.calibration, colour="blue")
    known = curves.calibration
    line = calibration.line(known.x, known.y, colour="blue", points=True)
    calibration.hover(line, [("predicted", "@x{0.0 %}"), ("matches", "@y{0.0 %}")])
    decided = words.decision(facts)
    of_accepted = 1.0 if decided.precision is None else decided.precision
    roc.dot(decided.false_accept_rate, decided.recall, colour="ink", name="roc_point")
    precision.dot(decided.recall, of_accepted, colour="ink", name="pr_point")
    for chart in (roc, precision, calibration):
        chart.percent(x=True)
    return {
        "roc": roc.document(),
        "precision_recall": precision.document(),
        "calibration": calibration.document(),
    }


def _unit_square(x_label: str, y_label: str) -> Chart:
    return Chart(x_label, y_label, x_range=(-0.02, 1.02), y_range=(-0.02, 1.02))
