"""The charts of the report as documents that BokehJS draws.

Colours are names of the palette: the page turns them into light or dark ones, again whenever
the scheme changes, so a chart is stored once. `paint` leaves the name in a model's tags::

    chart = Chart("epoch", "loss")
    chart.line(x, y, colour="blue")
    chart.document()  # JSON for Bokeh.embed.embed_item

Models are put together here and not by `bokeh.plotting`, which makes twice as many and takes
twice the time.
"""

import json
import re
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import (
    ColumnDataSource,
    DataRange1d,
    Grid,
    HoverTool,
    Line,
    LinearAxis,
    Model,
    MultiLine,
    NumeralTickFormatter,
    Plot,
    Quad,
    Range1d,
    Scatter,
    Span,
    VArea,
    Whisker,
)
from numpy.typing import ArrayLike, NDArray

from job.report.bands import Band
from job.report.palette import LIGHT

Document = dict[str, Any]

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_HEIGHT = 270
_AXIS_LOOK = {
    "minor_tick_line_color": None,
    "major_tick_in": 0,
    "major_tick_out": 4,
    "axis_label_text_font_style": "normal",
    "axis_label_text_font": _FONT,
    "major_label_text_font": _FONT,
    "axis_label_text_font_size": "12px",
    "major_label_text_font_size": "11px",
    "axis_label_standoff": 8,
}
_AXIS_COLOURS = {
    "axis_label_text_color": "muted",
    "major_label_text_color": "muted",
    "axis_line_color": "line",
    "major_tick_line_color": "line",
}
_UNIT_TICKS = [0.0, 0.25, 0.5, 0.75, 1.0]


class Chart:
    """One chart with the look of the page.

    Args:
        x_label: Below the horizontal axis.
        y_label: Beside the vertical axis.
        x_range: Ends of the horizontal axis; None to fit the data.
        y_range: Ends of the vertical axis; None to fit the data.
    """

    def __init__(
        self,
        x_label: str,
        y_label: str,
        *,
        x_range: tuple[float, float] | None = None,
        y_range: tuple[float, float] | None = None,
    ) -> None:
        self.plot = _plot(_HEIGHT, x_range, y_range)
        self.x_axis = LinearAxis(axis_label=x_label, **_AXIS_LOOK)
        self.y_axis = LinearAxis(axis_label=y_label, **_AXIS_LOOK)
        for axis, place in ((self.x_axis, "below"), (self.y_axis, "left")):
            self.plot.add_layout(paint(axis, **_AXIS_COLOURS), place)
        grid = Grid(dimension=1, ticker=self.y_axis.ticker)
        self.plot.add_layout(paint(grid, grid_line_color="grid"))

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        colour: str,
        dash: str = "solid",
        width: float = 2.0,
        points: bool = False,
    ) -> Any:
        """A line, with a dot at each value if asked for."""
        source = ColumnDataSource({"x": _plain(x), "y": _plain(y)})
        glyph = Line(x="x", y="y", line_width=width, line_dash=dash)
        drawn = self.plot.add_glyph(source, paint(glyph, line_color=colour))
        if points:
            dots = Scatter(x="x", y="y", size=5)
            self.plot.add_glyph(source, paint(dots, fill_color=colour, line_color=colour))
        return drawn

    def band(self, band: Band, *, colour: str) -> None:
        """The area between the limits of a curve."""
        known = np.isfinite(band.low)
        source = ColumnDataSource(
            {
                "x": _plain(band.x[known]),
                "low": _plain(band.low[known]),
                "high": _plain(band.high[known]),
            }
        )
        area = VArea(x="x", y1="low", y2="high", fill_alpha=0.18)
        self.plot.add_glyph(source, paint(area, fill_color=colour))

    def bars(self, edges: ArrayLike, top: ArrayLike, *, colour: str) -> None:
        """A filled histogram."""
        ends = np.asarray(edges)
        source = ColumnDataSource(
            {"left": _plain(ends[:-1]), "right": _plain(ends[1:]), "top": _plain(top)}
        )
        box = Quad(
            left="left", right="right", top="top", bottom=0.0, fill_alpha=0.45, line_color=None
        )
        self.plot.add_glyph(source, paint(box, fill_color=colour))

    def whiskers(self, band: Band, *, colour: str) -> None:
        """Vertical intervals."""
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
        self.plot.add_layout(paint(whisker, line_color=colour))

    def marker(
        self,
        at: float,
        *,
        colour: str,
        dash: str = "solid",
        width: float = 1.5,
        name: str | None = None,
    ) -> None:
        """A vertical line over the whole height; the page can move one that has a name."""
        span = Span(
            location=at, dimension="height", line_width=width, line_dash=dash, name=name
        )
        self.plot.add_layout(paint(span, line_color=colour))

    def dot(self, x: float, y: float, *, colour: str, name: str) -> None:
        """A dot that the page can move."""
        source = ColumnDataSource({"x": [x], "y": [y]}, name=name)
        dot = Scatter(x="x", y="y", size=11, line_width=2)
        self.plot.add_glyph(source, paint(dot, fill_color=colour, line_color="surface"))

    def guide(self, x: ArrayLike, y: ArrayLike) -> None:
        """What chance, or a perfect calibration, gives."""
        self.line(x, y, colour="faint", dash="dashed", width=1.2)

    def hover(self, drawn: Any, tooltips: list[tuple[str, str]]) -> None:
        """Shows values at the pointer."""
        self.plot.add_tools(
            HoverTool(renderers=[drawn], tooltips=tooltips, mode="vline", line_policy="nearest")
        )

    def percent(self, *, x: bool = False) -> None:
        """Labels the vertical axis in percent, or both; a horizontal one is from 0 to 1."""
        self.y_axis.formatter = NumeralTickFormatter(format="0 %")
        if x:
            self.x_axis.formatter = NumeralTickFormatter(format="0 %")
            self.x_axis.ticker = _UNIT_TICKS

    def document(self) -> Document:
        """The chart as JSON for `Bokeh.embed.embed_item`."""
        return _document(self.plot)


def paint(model: Model, **colours: str) -> Any:
    """Colours a model by names of the palette, and returns it.

    Args:
        model: Any model of Bokeh.
        colours: Name of the palette by property.
    """
    model.update(
        **{key: LIGHT[name] for key, name in colours.items()},
        tags=[f"{key}={name}" for key, name in colours.items()],
    )
    return model


def small_multiples(left: NDArray[np.float32], right: NDArray[np.float32]) -> Document:
    """Two sequences side by side: a row for each feature, with one scale for both.

    Args:
        left: float32 (T, F), time steps.
        right: float32 (S, F).
    """
    count, width = left.shape[1], max(len(left), len(right))
    both = np.concatenate([left, right])
    low, high = both.min(axis=0), both.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    xs, ys = [], []
    for steps, start in ((left, 0.0), (right, 1.1 * width)):
        rows = (steps - low) / span * 0.86 + np.arange(count - 1, -1, -1)
        xs += [_rounded(start + np.arange(len(steps)))] * count
        ys += [_rounded(rows[:, feature]) for feature in range(count)]
    plot = _plot(max(70, min(24 * count, 180)), (0.0, 2.1 * width), (-0.1, count + 0.1))
    lines = MultiLine(xs="x", ys="y", line_width=1.4)
    plot.add_glyph(ColumnDataSource({"x": xs, "y": ys}), paint(lines, line_color="blue"))
    return _document(plot)


def _rounded(values: NDArray[Any]) -> list[float]:
    """Finer than a pixel, and short as text."""
    return [round(float(value), 3) for value in values]


def _plot(
    height: int, x_range: tuple[float, float] | None, y_range: tuple[float, float] | None
) -> Plot:
    return Plot(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        x_range=Range1d(*x_range) if x_range else DataRange1d(),
        y_range=Range1d(*y_range) if y_range else DataRange1d(),
        min_border=4,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
    )


def _plain(values: ArrayLike) -> list[float] | NDArray[np.float32]:
    """Few values as numbers, many as float32: exact beyond what is drawn."""
    array = np.asarray(values, np.float64)
    if len(array) < 16 and np.isfinite(array).all():
        few: list[float] = array.tolist()
        return few
    return array.astype(np.float32)


def _document(plot: Plot) -> Document:
    """JSON with models numbered from 1: Bokeh counts on from chart to chart."""
    names: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return names.setdefault(found[0], f'"p{len(names) + 1}"')

    text = re.sub(r'"p\d{4,}"', renamed, json.dumps(json_item(plot)))
    document: Document = json.loads(text)
    return document
