"""The charts of the report as documents that BokehJS draws.

Colours are names of the palette: the page turns them into light or dark ones, again whenever
the scheme changes, so a chart is stored once. `paint` leaves the name in a model's tags::

    chart = Chart("Loss", "epoch", "loss")
    chart.line(x, y, colour="blue")
    chart.document()  # JSON for Bokeh.embed.embed_item
"""

import json
import re
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import (
    ColumnDataSource,
    FactorRange,
    HoverTool,
    LinearAxis,
    Model,
    NumeralTickFormatter,
    Range1d,
    Span,
    Whisker,
)
from bokeh.plotting import figure
from numpy.typing import ArrayLike, NDArray

from job.report.bands import Band
from job.report.palette import LIGHT

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_AXIS = {
    "axis_label_text_color": "muted",
    "major_label_text_color": "muted",
    "axis_line_color": "line",
    "major_tick_line_color": "line",
}
_HEIGHT = 270


class Chart:
    """One chart with the look of the page.

    Args:
        x_label: Below the horizontal axis.
        y_label: Beside the vertical axis.
        height: In pixels; the width follows the page.
        x_range: Ends of the horizontal axis, or names; None to fit the data.
        y_range: Ends of the vertical axis; None to fit the data.
    """

    def __init__(
        self,
        x_label: str,
        y_label: str,
        *,
        height: int = _HEIGHT,
        x_range: tuple[float, float] | list[str] | None = None,
        y_range: tuple[float, float] | None = None,
    ) -> None:
        ranges: dict[str, Any] = {}
        if isinstance(x_range, list):
            ranges["x_range"] = FactorRange(*x_range)
        elif x_range is not None:
            ranges["x_range"] = Range1d(*x_range)
        if y_range is not None:
            ranges["y_range"] = Range1d(*y_range)
        self.plot = figure(
            height=height,
            sizing_mode="stretch_width",
            toolbar_location=None,
            tools="",
            x_axis_label=x_label or None,
            y_axis_label=y_label or None,
            min_border=4,
            **ranges,
        )
        plot = self.plot
        plot.background_fill_color = plot.border_fill_color = None
        plot.outline_line_color = None
        plot.toolbar.active_drag = None
        for axis in plot.axis:
            _quiet(axis)
        for grid in plot.grid:
            paint(grid, grid_line_color="grid")
        plot.xgrid.grid_line_color = None
        plot.xgrid[0].tags = []

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        colour: str,
        dash: str = "solid",
        width: float = 2.0,
        points: bool = False,
        name: str | None = None,
    ) -> Any:
        """A line, with a dot at each value where there are few."""
        source = ColumnDataSource({"x": _plain(x), "y": _plain(y)})
        drawn = self.plot.line(
            "x", "y", source=source, line_width=width, line_dash=dash, name=name
        )
        paint(drawn.glyph, line_color=colour)
        if points:
            dots = self.plot.scatter("x", "y", source=source, size=5)
            paint(dots.glyph, fill_color=colour, line_color=colour)
        return drawn

    def band(self, band: Band, *, colour: str) -> None:
        """A curve and the area between its limits."""
        known = np.isfinite(band.low)
        area = self.plot.varea(
            x=_plain(band.x[known]), y1=_plain(band.low[known]), y2=_plain(band.high[known])
        )
        area.glyph.fill_alpha = 0.16
        paint(area.glyph, fill_color=colour)

    def bars(self, left: ArrayLike, right: ArrayLike, top: ArrayLike, *, colour: str) -> None:
        """A filled histogram."""
        drawn = self.plot.quad(
            left=_plain(left), right=_plain(right), top=_plain(top), bottom=0, fill_alpha=0.45
        )
        drawn.glyph.line_color = None
        paint(drawn.glyph, fill_color=colour)

    def whiskers(self, band: Band, *, colour: str) -> None:
        """Dots with vertical intervals."""
        known = np.isfinite(band.low)
        source = ColumnDataSource(
            {
                "x": _plain(band.x[known]),
                "low": _plain(band.low[known]),
                "high": _plain(band.high[known]),
            }
        )
        whisker = Whisker(
            base="x", upper="high", lower="low", source=source, line_width=1.5, level="overlay"
        )
        for head in (whisker.upper_head, whisker.lower_head):
            head.size = 0
        paint(whisker, line_color=colour)
        self.plot.add_layout(whisker)

    def marker(
        self,
        at: float,
        *,
        colour: str,
        dash: str = "solid",
        width: float = 1.5,
        name: str | None = None,
    ) -> None:
        """A vertical line over the whole height."""
        span = Span(
            location=at, dimension="height", line_width=width, line_dash=dash, name=name
        )
        paint(span, line_color=colour)
        self.plot.add_layout(span)

    def dot(self, x: float, y: float, *, colour: str, name: str) -> None:
        """A dot that the page can move."""
        source = ColumnDataSource({"x": [x], "y": [y]}, name=name)
        drawn = self.plot.scatter("x", "y", source=source, size=11, line_width=2)
        paint(drawn.glyph, fill_color=colour, line_color="surface")

    def diagonal(self) -> None:
        """What chance, or a perfect calibration, gives."""
        self.line([0, 1], [0, 1], colour="faint", dash="dashed", width=1.2)

    def hover(
        self, drawn: Any, tooltips: list[tuple[str, str]], *, mode: str = "vline"
    ) -> None:
        """Shows values under the pointer."""
        self.plot.add_tools(
            HoverTool(renderers=[drawn], tooltips=tooltips, mode=mode, line_policy="nearest")
        )

    def percent(self, *, x: bool = False, y: bool = True) -> None:
        """Labels an axis in percent."""
        for axis, chosen in ((self.plot.xaxis, x), (self.plot.yaxis, y)):
            if chosen:
                axis.formatter = NumeralTickFormatter(format="0 %")

    def document(self) -> dict[str, Any]:
        """The chart as JSON for `Bokeh.embed.embed_item`."""
        return _same_names(json_item(self.plot))


def paint(model: Model, **colours: str) -> None:
    """Colours a model by names of the palette.

    Args:
        model: Any model of Bokeh.
        colours: Name of the palette by property.
    """
    for key, name in colours.items():
        setattr(model, key, LIGHT[name])
    model.tags = [*model.tags, *(f"{key}={name}" for key, name in colours.items())]


def small_multiples(
    steps: NDArray[np.float32], *, low: NDArray[np.float32], high: NDArray[np.float32]
) -> dict[str, Any]:
    """The features of a sequence over its steps, each on its own scale, above one another.

    Args:
        steps: float32 (T, F).
        low: float32 (F,), the lower ends of the scales.
        high: float32 (F,), the upper ends.
    """
    count = steps.shape[1]
    chart = Chart("", "", height=max(70, min(22 * count, 180)), y_range=(-0.05, count + 0.05))
    chart.plot.axis.visible = False
    chart.plot.grid.visible = False
    span = np.where(high > low, high - low, 1.0)
    scaled = (steps - low) / span * 0.9
    for feature in range(count):
        chart.line(
            np.arange(len(steps)),
            scaled[:, feature] + (count - 1 - feature),
            colour=_CYCLE[feature % len(_CYCLE)],
            width=1.4,
        )
    return chart.document()


_CYCLE = ("blue", "orange", "green", "violet")


def _quiet(axis: LinearAxis) -> None:
    paint(axis, **_AXIS)
    axis.minor_tick_line_color = None
    axis.major_tick_in = 0
    axis.major_tick_out = 4
    axis.axis_label_text_font_style = "normal"
    axis.axis_label_text_font = axis.major_label_text_font = _FONT
    axis.axis_label_text_font_size = "12px"
    axis.major_label_text_font_size = "11px"
    axis.axis_label_standoff = 8


def _plain(values: ArrayLike) -> list[float] | NDArray[np.float32]:
    """Few values as numbers, many as float32: half the size, exact beyond what is drawn."""
    array = np.asarray(values, np.float64)
    return array.tolist() if len(array) < 16 and np.isfinite(array).all() else np.float32(array)


def _same_names(document: dict[str, Any]) -> dict[str, Any]:
    """The document with models numbered from 1: Bokeh counts on from chart to chart."""
    names: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f'"p{len(names) + 1}"')

    text = re.sub(r'"p\d{4,}"', renamed, json.dumps(document))
    changed: dict[str, Any] = json.loads(text)
    return changed
