"""The images of a study, as SVG: the same rows give the same bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from covla.evaluation.study.records import Cost, Details, Results
from covla.evaluation.study.tables import gates

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "covla", "svg.fonttype": "none", "font.size": 9, "axes.grid": True,
    "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False,
}  # fmt: skip
COVLA, OTHER = "#0b6e4f", "#9a3b3b"


def draw(folder: Path, results: Results, details: Details, cost: list[Cost]) -> None:
    """Every image that the rows allow."""
    folder.mkdir()
    pictures: dict[str, Callable[[], Figure | None]] = {
        "noise": lambda: _noise(results),
        "gate": lambda: _gate(results),
        "labels": lambda: _labels(results),
        "reliability": lambda: _reliability(details),
        "confusion": lambda: _confusion(details),
        "cost": lambda: _cost(cost, results),
    }
    with mpl.rc_context(_STYLE):
        for name, make in pictures.items():
            figure = make()
            if figure is not None:
                figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _panels(count: int, columns: int) -> tuple[Figure, list[Any]]:
    lines = -(-count // columns)
    figure = Figure(figsize=(2.6 * columns, 2.2 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).flatten().tolist()
    for unused in axes[count:]:
        unused.set_visible(False)
    return figure, axes


def _noise(results: Results) -> Figure | None:
    clean = {row.name: row.accuracy for row in results.rows}
    noisy = results.noisy
    kinds = list(dict.fromkeys(row.noise for row in noisy))
    if not kinds:
        return None
    figure, axes = _panels(len(kinds), 4)
    for axis, kind in zip(axes, kinds, strict=False):
        for name in dict.fromkeys(row.of for row in noisy):
            points = [(0.0, clean[name])] + [
                (r.level, r.accuracy) for r in noisy if (r.of, r.noise) == (name, kind)
            ]
            main = {"covla": COVLA, results.strongest: OTHER}.get(name)
            axis.errorbar(
                [100 * level for level, _ in points], [value.mean for _, value in points],
                yerr=[value.std for _, value in points] if main else None,
                color=main or "#bbbbbb", linewidth=1.6 if main else 0.8,
                zorder=3 if main else 1, label=name if main else None, marker="." if main else None,
            )  # fmt: skip
        axis.set_title(kind)
    axes[0].legend(frameon=False)
    figure.supxlabel("noise, %")
    figure.supylabel("accuracy")
    return figure


def _gate(results: Results) -> Figure | None:
    found = gates(results)
    if not found:
        return None
    figure, axes = _panels(2, 2)
    figure.set_size_inches(7.5, 3.2)
    for axis, side in zip(axes, ("text", "image"), strict=True):
        for noise, points in found.items():
            if noise.startswith(side):
                xs, ys = zip(*points, strict=True)
                axis.plot([100 * x for x in xs], ys, marker=".", label=noise.partition(":")[2])
        axis.set_title(f"noise in the {side}")
        axis.set_xlabel("noise, %")
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[0].set_ylabel("mean gate (share of the text)")
    return figure


def _labels(results: Results) -> Figure | None:
    few = results.of_kind("budget")
    if not few:
        return None
    figure, axes = _panels(1, 1)
    for name in dict.fromkeys(row.base for row in few):
        mine = [row for row in results.rows if row.base == name]
        mine.sort(key=lambda row: row.labels)
        main = {"covla": COVLA, results.strongest: OTHER}.get(name)
        axes[0].errorbar(
            [100 * row.labels for row in mine], [row.accuracy.mean for row in mine],
            yerr=[row.accuracy.std for row in mine], marker=".", label=name, color=main,
            linewidth=1.8 if main else 0.9,
        )  # fmt: skip
    figure.set_size_inches(5, 3.4)
    axes[0].set_xlabel("labels, % of the training posts")
    axes[0].set_ylabel("accuracy")
    axes[0].legend(frameon=False, ncols=2)
    return figure


def _reliability(details: Details) -> Figure | None:
    curves = details.reliability
    if not curves:
        return None
    figure, axes = _panels(1, 1)
    figure.set_size_inches(3.6, 3.4)
    axes[0].plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8)
    for name, bins in curves.items():
        axes[0].plot(
            [one.confidence for one in bins], [one.accuracy for one in bins],
            marker="o", markersize=3, label=name, color=COVLA if name == "covla" else OTHER,
        )  # fmt: skip
    axes[0].set_xlabel("confidence")
    axes[0].set_ylabel("accuracy")
    axes[0].legend(frameon=False)
    return figure


def _confusion(details: Details) -> Figure | None:
    table = details.confusion.get("covla")
    if not table:
        return None
    labels = details.labels
    figure, axes = _panels(1, 1)
    figure.set_size_inches(6, 5.2)
    axis = axes[0]
    axis.grid(visible=False)
    axis.imshow(table, cmap="Greens", vmin=0, vmax=1)
    for i, row in enumerate(table):
        for j, share in enumerate(row):
            if share >= 0.005:
                color = "white" if share > 0.5 else "black"
                axis.text(j, i, f"{share:.2f}", ha="center", va="center", color=color, fontsize=7)
    axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xlabel("answer of covla")
    axis.set_ylabel("label")
    return figure


def _cost(cost: list[Cost], results: Results) -> Figure | None:
    if not cost:
        return None
    f1 = {row.name: row.macro_f1.mean for row in results.rows}
    measures: dict[str, Callable[[Cost], float]] = {
        "parameters, millions": lambda one: (one.head_parameters + one.tower_parameters) / 1e6,
        "GFLOPs a post": lambda one: one.gflops,
        "posts/s": lambda one: one.posts_per_second,
    }
    figure, axes = _panels(3, 3)
    figure.set_size_inches(9, 3)
    for axis, (name, measure) in zip(axes, measures.items(), strict=True):
        for one in cost:
            color = COVLA if one.row == "covla" else "#555555"
            point = measure(one), f1[one.row]
            axis.scatter(*point, color=color, s=14)
            axis.annotate(
                one.row, point, fontsize=7, color=color,
                xytext=(3, 3), textcoords="offset points",
            )  # fmt: skip
        axis.set_xlabel(name)
    axes[0].set_ylabel("macro-F1")
    return figure
