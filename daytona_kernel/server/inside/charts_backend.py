"""The matplotlib backend of a code run: a figure that is shown becomes a line of output with its data.

It is copied into a sandbox's Python environment, where nothing of this package is imported, and
chosen by `MPLBACKEND`. The line is what Daytona's toolbox cuts out of a run's output and answers
as `artifacts.charts`.
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


def show(*args: Any, **kwargs: Any) -> None:
    """Print what every open figure shows, and close them."""
    for manager in Gcf.get_all_fig_managers():
        print(ARTIFACT + json.dumps({"type": "chart", "value": describe_figure(manager.canvas.figure)}))
    Gcf.destroy_all()


def describe_figure(figure: Figure) -> dict[str, Any]:
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
    """Return the kind of chart that the axes show, and its data."""
    wedges = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    if wedges:
        texts = [text.get_text() for text in axes.texts]
        return "pie", [
            pie_slice(wedge, texts[at] if at < len(texts) else "") for at, wedge in enumerate(wedges)
        ]
    boxes = [line for line in axes.lines if len(numbers(line.get_xdata())) == 5]
    if boxes and len(axes.lines) >= 5 * len(boxes):
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
    return {"label": label, "angle": float(wedge.theta2 - wedge.theta1), "radius": float(wedge.r)}


def describe_bars(axes: Axes, container: Any) -> list[dict[str, Any]]:
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
    """Take a box plot apart: a box, two whiskers, two caps, a median and the outliers each."""
    lines = [(numbers(line.get_xdata()), numbers(line.get_ydata())) for line in axes.lines]
    boxes = [ys for xs, ys in lines if len(xs) == 5]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    found = []
    for at, box in enumerate(boxes):
        low, high = min(box), max(box)
        after = lines[[ys for _, ys in lines].index(box) + 1 :]
        inside = next(
            (y for (xs, (y, *more)) in after if len(xs) == 2 and more and more[0] == y and low <= y <= high),
            low,
        )
        ends = [y for (xs, ys) in after[:4] for y in ys]
        outliers = next((ys for xs, ys in after[5:6] if xs and len(set(xs)) == 1), [])
        found.append(
            {
                "label": labels[at] if at < len(labels) else "",
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
    return [numbers(point) for point in points]


def numbers(values: Any) -> list[float]:
    """Return numbers that JSON can hold; a date or a name counts as 0."""
    found = []
    for value in values:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = 0.0
        found.append(number if math.isfinite(number) else 0.0)
    return found
