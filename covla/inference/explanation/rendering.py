"""An explanation as one image: heat over regions, words, gate, influences."""

import io
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from covla.arrays import PixelArray
from covla.inference.explanation.attention import even, sharpest
from covla.schemas.explanation import Attention, Explained, Focus, Influence, WordFocus

TEXT, IMAGE, INK, SOFT, TRACK = "#375dfb", "#c2570c", "#14161a", "#5a6270", "#eceef3"
_HEAT = tuple(int(IMAGE[i : i + 2], 16) for i in (1, 3, 5))
_WORDS, _NODES, _LABELS = 6, 7, 3
_DPI = 120


def overlay(image: PixelArray, seen: Focus) -> PixelArray:
    """Attention over a greyed uint8 H x W x 3 image, upsampled from the grid.

    Full colour is the peak, but never less than four times the share of an even attention: one
    that looks everywhere stays pale instead of being stretched to a pattern.
    """
    height, width = image.shape[:2]
    grid = np.array(seen.regions, np.float32)
    full = max(float(grid.max()), 4 * even(seen))
    smooth = cv2.resize(grid / full, (width, height), interpolation=cv2.INTER_CUBIC)
    heat = (0.8 * np.clip(smooth, 0, 1))[..., None]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    pale = 255 - (255 - grey.astype(np.float32)) * 0.75
    mixed = (1 - heat) * pale + heat * np.array(_HEAT)
    return np.asarray(mixed.round().clip(0, 255), np.uint8)


_BY = {"text": "text", "image": "image", "both": "both"}


def draw(explained: Explained, text: str, image: PixelArray | None) -> bytes:
    """A PNG of an explanation.

    Args:
        explained: what is drawn.
        text: the post's text, "" for none.
        image: the image as the model saw it, uint8 H x W x 3, or None.
    """
    attention = explained.explanation.attention
    words = sharpest(attention, _WORDS) if attention else []
    rows = 2 if words else 1
    figure = Figure(figsize=(11, 7.6 if rows == 2 else 5.6), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    parts = figure.subfigures(rows, 1, height_ratios=[5.4, 2.2][:rows], squeeze=False)[:, 0]
    left, right = parts[0].subfigures(1, 2, width_ratios=[1, 1.1])
    _post(left, attention, text, image)
    _answer(right, explained)
    if words and attention and image is not None:
        _words(parts[1], words, attention, image)
    file = io.BytesIO()
    # No software name, which has a version in it: the same post gives the same bytes.
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _post(
    part: SubFigure, attention: Attention | None, text: str, image: PixelArray | None
) -> None:
    axes = part.add_axes((0.06, 0.25, 0.9, 0.66))
    axes.set_axis_off()
    if image is None:
        axes.text(0.5, 0.5, "no image", ha="center", va="center", color=SOFT, fontsize=12)
        axes.add_patch(_frame(axes))
    else:
        axes.imshow(image if attention is None else overlay(image, attention))
    if attention is not None:
        _title(
            axes, f"All tokens: peak {_percent(attention.peak)}, even {_percent(even(attention))}"
        )
    shown = textwrap.shorten(_printable(text), 260, placeholder=" …") or "no text"
    lines = "\n".join(textwrap.wrap(shown, 62)[:5])
    part.text(0.06, 0.2, lines, va="top", color=INK if text else SOFT, fontsize=9, parse_math=False)


def _frame(axes: Axes) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((0, 0), 1, 1, fill=False, edgecolor=TRACK, transform=axes.transAxes)


def _answer(part: SubFigure, explained: Explained) -> None:
    prediction, why = explained.prediction, explained.explanation
    ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:_LABELS]
    first, *others = ranked
    part.text(0.04, 0.93, _place(first[0]), fontsize=21, weight="bold", color=INK, va="center")
    rest = "   ".join(f"{_place(name)} {_percent(share)}" for name, share in others)
    part.text(0.04, 0.862, f"{_percent(first[1])};  {rest}", fontsize=9, color=SOFT, va="center")
    gate = part.add_axes((0.04, 0.745, 0.9, 0.035))
    gate.set(xlim=(0, 1), ylim=(0, 1))
    gate.set_axis_off()
    gate.barh(0.5, why.gate.text, 1, color=TEXT)
    gate.barh(0.5, why.gate.image, 1, left=why.gate.text, color=IMAGE)
    name = "Gate" if why.gate.learned else "Sides (no gate)"
    ends = (("left", 0.04, f"{name}:  text {_percent(why.gate.text)}", TEXT),
            ("right", 0.94, f"image {_percent(why.gate.image)}", IMAGE))  # fmt: skip
    for side, x, words, colour in ends:
        part.text(x, 0.81, words, ha=side, va="center", fontsize=10, weight="bold", color=colour)
    nodes = [
        f"by {_BY[n.name]} {_place(n.label)} {_percent(n.probability)}".replace(" ", "\u00a0")
        for n in why.label_nodes
    ]
    if nodes:  # a line breaks between nodes, not within one
        lines = textwrap.wrap(f"Labelled posts like it say: {', '.join(nodes)}", 84)
        part.text(0.04, 0.708, "\n".join(lines), fontsize=8.5, color=SOFT, va="center")
    _influences(part, why.influences[:_NODES], prediction.label)
    small = [line for note in why.notes for line in textwrap.wrap(note, 84)]
    small.append(f"post {_printable(prediction.post_id)[:40]}, model {prediction.model_version}")
    part.text(
        0.04, 0.025, "\n".join(small), fontsize=7.5, color=SOFT, va="bottom", parse_math=False
    )


def _influences(part: SubFigure, influences: Sequence[Influence], label: str) -> None:
    if not influences:
        return
    axes = part.add_axes((0.3, 0.2, 0.64, 0.43))
    _title(axes, f"What hiding each part takes from P({_place(label)}), in points", x=-0.406)
    changes = [round(100 * influence.change, 1) + 0.0 for influence in influences]  # no -0.0
    sides = {"text": TEXT, "image": IMAGE, "context": SOFT}
    axes.barh(range(len(changes)), changes, 0.6, color=[sides[i.part] for i in influences])
    least, most = min(0.0, *changes), max(1.0, *changes)
    pad = 0.16 * (most - least)
    rows = max(len(changes), 5)  # a few bars are not stretched over the whole height
    axes.set(xlim=(least - pad, most + pad), ylim=(rows - 0.4, -0.6))
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_axis_off()
    for row, (influence, change) in enumerate(zip(influences, changes, strict=True)):
        side = "left" if change >= 0 else "right"
        axes.text(change, row, f" {change:+.1f} ", va="center", ha=side, fontsize=8, color=INK)
        place = axes.get_yaxis_transform()
        axes.text(-0.406, row, _name(influence), transform=place, va="center", fontsize=9,
                  color=INK, parse_math=False)  # fmt: skip


def _name(influence: Influence) -> str:
    known = {"lang": "language"}
    name = known.get(influence.name, influence.name.replace("_", " "))
    value = _printable(influence.value) if influence.part == "context" else ""
    return textwrap.shorten(
        value if value.startswith("#") else f"{name} {value}", 24, placeholder="…"
    )


def _words(
    part: SubFigure, words: Sequence[WordFocus], attention: Attention, image: PixelArray
) -> None:
    part.text(0.03, 0.97, "Where the sharpest words look", fontsize=9, weight="bold", color=SOFT,
              va="top")  # fmt: skip
    for i, word in enumerate(words):
        axes = part.add_axes((0.03 + i * 0.95 / _WORDS, 0.06, 0.95 / _WORDS - 0.02, 0.66))
        axes.imshow(overlay(image, word))
        axes.set_axis_off()
        shown = textwrap.shorten(_printable(word.word), 16, placeholder="…") or "…"
        axes.set_title(f"{shown}  {_percent(word.peak)}", fontsize=9, color=INK, parse_math=False)


def _title(axes: Axes, words: str, x: float = 0.0) -> None:
    axes.text(x, 1.02, words, transform=axes.transAxes, fontsize=9, weight="bold", color=SOFT,
              va="bottom")  # fmt: skip


def _percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.{1 if 0 < share < 0.095 else 0}f} %"


def _place(label: str) -> str:
    return label.replace("_", " / ").capitalize()


@cache
def _glyphs() -> frozenset[int]:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return frozenset(font.get_charmap())


def _printable(text: str) -> str:
    """On one line, a box for what the font has not: matplotlib would warn and draw the same."""
    return "".join(c if ord(c) in _glyphs() else "□" for c in " ".join(text.split()))
