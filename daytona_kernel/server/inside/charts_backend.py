"""The matplotlib backend of a code run. It prints each shown figure as a line with the figure's data.

The server copies it into the sandbox's Python environment, and selects it with `MPLBACKEND`. After the run,
the server cuts these lines out of the output, and answers with them as `artifacts.charts`, as Daytona does.
"""

from __future__ import annotations

import base64
import io
import json
import math
from typing import TYPE_CHECKING, Any

from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle, Wedge

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FigureCanvas = FigureCanvasAgg
ARTIFACT = "dtn_artifact_k39fd2:"
_BOX_POINTS = 5  # a closed rectangle
_MEDIAN_POINTS = 2
_LINES_PER_BOX = 5  # the box, two whiskers, two caps; then the median and the outliers


def show(*_: Any, **__: Any) -> None:
    """Print every open figure, and close it."""
    for manager in Gcf.get_all_fig_managers():
        artifact = {"type": "chart", "value": describe_figure(manager.canvas.figure)}
        print(ARTIFACT + json.dumps(artifact))  # noqa: T201  # the run's output is the channel
    Gcf.destroy_all()


def describe_figure(figure: Figure) -> dict[str, Any]:
    """Return the figure's data and picture, in the API's JSON."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    parts = [describe_axes(axes) for axes in figure.axes]
    if len(parts) == 1:
        chart = parts[0]
    else:
        title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
        chart = {"type": "composite_chart" if parts else "unknown", "title": title, "elements": parts}
    return {**chart, "png": base64.b64encode(picture.getvalue()).decode()}


def describe_axes(axes: Axes) -> dict[str, Any]:
    """Return the data of one chart, in the API's JSON."""
    kind, elements = find_elements(axes)
    chart: dict[str, Any] = {"type": kind, "title": axes.get_title(), "elements": elements}
    if kind != "pie":
        for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
            chart |= {
                f"{name}_label": axis.get_label_text(),
                f"{name}_scale": axis.get_scale(),
                f"{name}_ticks": numbers(axis.get_ticklocs()),
                f"{name}_tick_labels": [label.get_text() for label in axis.get_ticklabels()],
            }
    return chart


def find_elements(axes: Axes) -> tuple[str, list[dict[str, Any]]]:
    """Return the kind of chart in the axes, and its data."""
    wedges = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    if wedges:
        texts = [text.get_text() for text in axes.texts]
        return "pie", [
            pie_slice(wedge, texts[index] if index < len(texts) else "") for index, wedge in enumerate(wedges)
        ]
    boxes = [line for line in axes.lines if len(numbers(line.get_xdata())) == _BOX_POINTS]
    if boxes and len(axes.lines) >= _LINES_PER_BOX * len(boxes):
        return "box_and_whisker", describe_boxes(axes)
    bars = [bar for container in axes.containers for bar in describe_bars(axes, container)]
    if bars:
        return "bar", bars
    if axes.collections:
        scatters = [
            {"label": str(points.get_label()), "points": numbers_of(points.get_offsets())}
            for points in axes.collections
            if len(numbers_of(points.get_offsets()))
        ]
        if scatters:
            return "scatter", scatters
    if axes.lines:
        return "line", [
            {
                "label": str(line.get_label()),
                "points": [
                    list(point)
                    for point in zip(numbers(line.get_xdata()), numbers(line.get_ydata()), strict=True)
                ],
            }
            for line in axes.lines
        ]
    return "unknown", []


def pie_slice(wedge: Wedge, label: str) -> dict[str, Any]:
    """Return one slice of a pie chart."""
    return {"label": label, "angle": float(wedge.theta2 - wedge.theta1), "radius": float(wedge.r)}


def describe_bars(axes: Axes, container: Any) -> list[dict[str, Any]]:
    """Return the bars of one group."""
    rectangles = [bar for bar in container if isinstance(bar, Rectangle)]
    sideways = getattr(container, "orientation", "vertical") == "horizontal"
    axis = axes.yaxis if sideways else axes.xaxis
    names = {
        round(place, 9): label.get_text()
        for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
    }
    bars = []
    for bar in rectangles:
        middle = bar.get_y() + bar.get_height() / 2 if sideways else bar.get_x() + bar.get_width() / 2
        length = bar.get_width() if sideways else bar.get_height()
        label = names.get(round(float(middle), 9)) or f"{float(middle):g}"
        bars.append({"label": label, "group": str(container.get_label()), "value": f"{float(length):g}"})
    return bars


def describe_boxes(axes: Axes) -> list[dict[str, Any]]:
    """Return the boxes of a box plot. matplotlib draws each one with several consecutive lines."""
    lines = [(numbers(line.get_xdata()), numbers(line.get_ydata())) for line in axes.lines]
    boxes = [ys for xs, ys in lines if len(xs) == _BOX_POINTS]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    found = []
    for index, box in enumerate(boxes):
        low, high = min(box), max(box)
        after = lines[[ys for _, ys in lines].index(box) + 1 :]
        inside = next(
            (
                y
                for (xs, (y, *more)) in after
                if len(xs) == _MEDIAN_POINTS and more and more[0] == y and low <= y <= high
            ),
            low,
        )
        ends = [y for (xs, ys) in after[:4] for y in ys]
        outliers = next((ys for xs, ys in after[5:6] if xs and len(set(xs)) == 1), [])
        found.append(
            {
                "label": labels[index] if index < len(labels) else "",
                "min": min([*ends, low]),
                "first_quartile": low,
                "median": inside,
                "third_quartile": high,
                "max": max([*ends, high]),
                "outliers": outliers,
            }
        )
    return found


def numbers_of(points: Any) -> list[list[float]]:
    """Return points as lists of numbers."""
    return [numbers(point) for point in points]


def numbers(values: Any) -> list[float]:
    """Return `values` as numbers that JSON can express. Dates, names and infinities become 0."""
    found = []
    for value in values:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = 0.0
        found.append(number if math.isfinite(number) else 0.0)
    return found
