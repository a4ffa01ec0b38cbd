"""The world of bench.weeks: posts hour by hour with planted drifts, and models of known quality."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from bench.gate import draw
from covla.arrays import Array
from covla.evaluation.gate_scores import Measured
from covla.posts.quality import IMAGE_QUALITY
from monitoring.guard.comparison import Answers, Comparison

HOUR = timedelta(hours=1)
HOURS = 3  # of an interval of the monitor
STEP = HOURS * HOUR
# Per hour of the day, from a quiet night to a busy evening.
POSTS = [40 + round(60 * (1 - math.cos(2 * math.pi * (hour - 4) / 24)) / 2) for hour in range(24)]
IMAGE_COLUMNS = ["image_embedding", *(f"image_{name}" for name in IMAGE_QUALITY)]
WORSE = 0.12  # what a bad candidate loses in accuracy


@dataclass(frozen=True)
class Planted:
    """A drift of one modality from `start` to `end`."""

    modality: str
    start: datetime
    end: datetime

    def on(self, at: datetime) -> bool:
        """Whether it is on in the interval that begins at `at`."""
        return self.start <= at < self.end


@dataclass(frozen=True)
class Model:
    """A version; `worse` is how much accuracy it lost against the others, 0 for a good one."""

    version: str
    worse: float

    @property
    def bad(self) -> bool:
        """Whether it should not serve."""
        return self.worse > 0


class Posts:
    """Feature rows to draw hours from; the modalities "missing" and "agreement" are made here."""

    def __init__(self, plain: pd.DataFrame, changed: dict[str, pd.DataFrame], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._pools = changed | {"": plain}
        self._drawn = 0

    def interval(self, at: datetime, drift: str) -> pd.DataFrame:
        """The posts of an interval; `drift` is the modality that drifts, or ""."""
        pool = self._pools.get(drift, self._pools[""])
        count = sum(POSTS[(at + n * HOUR).hour] for n in range(HOURS))
        rows = pool.iloc[self._rng.integers(0, len(pool), count)].copy()
        rows["post_id"] = [f"p{self._drawn + i}" for i in range(len(rows))]
        self._drawn += len(rows)
        if drift == "missing":
            self._without_images(rows)
        elif drift == "agreement":
            order = self._rng.permutation(len(rows))
            rows[IMAGE_COLUMNS] = rows[IMAGE_COLUMNS].iloc[order].to_numpy()
        return rows.reset_index(drop=True)

    def _without_images(self, rows: pd.DataFrame) -> None:
        lost = (self._rng.random(len(rows)) < 0.5) & rows["has_text"].to_numpy(bool)
        rows.loc[lost, "has_image"] = False
        for name in IMAGE_COLUMNS:
            rows[name] = rows[name].mask(lost, None)


def drifts(start: datetime, weeks: int, seed: int) -> list[Planted]:
    """One every five days from the second week on, of each modality in turn, for 6 to 18 hours."""
    rng = np.random.default_rng(seed)
    found = []
    modalities = ("image", "text", "missing", "agreement")
    for i, day in enumerate(range(8, 7 * weeks - 1, 5)):
        begin = start + timedelta(days=day) + int(rng.integers(0, 8)) * STEP
        found.append(Planted(modalities[i % 4], begin, begin + int(rng.integers(2, 7)) * STEP))
    return found


def planted_at(planted: Sequence[Planted], at: datetime) -> str:
    """The modality that drifts, or ""."""
    return next((one.modality for one in planted if one.on(at)), "")


def gate_posts(
    challenger: Model, champion: Model, n: int, rng: np.random.Generator
) -> tuple[Array, Measured, Measured]:
    """Labels of n held-out posts, and what both predict."""
    y_true, new, old = draw(n, (challenger.worse - champion.worse, 0.0), rng)
    return y_true, new, old


class Served:
    """What champion and predecessor predict of the posts since a promotion; labels come late."""

    def __init__(self, new: Model, previous: Model, rng: np.random.Generator) -> None:
        self.new, self.previous = new, previous
        self._rng = rng
        self._rows: list[tuple[datetime, Any, Measured, Measured]] = []

    def interval(self, at: datetime, posts: int) -> None:
        """Both predict the posts of an interval."""
        worse = self.new.worse - self.previous.worse
        self._rows.append((at, *draw(posts, (worse, 0.0), self._rng)))

    def compare(self, at: datetime, delay: timedelta, most: int) -> Comparison:
        """The newest posts, at most `most`, labelled ones first, as the guard takes them."""
        y_true: list[str | None] = []
        sides: tuple[list[Any], list[Any]] = ([], [])
        for made, labels, new, old in self._newest(at, delay):
            known = made + delay <= at
            y_true += [str(label) if known else None for label in labels]
            for side, model in zip(sides, (new, old), strict=True):
                rows = zip(model.predicted["clean"], model.probabilities, strict=True)
                side += [(str(label), max(shares)) for label, shares in rows]
            if len(y_true) >= most:
                break
        pair = [
            _answers(model.version, side[:most])
            for model, side in zip((self.new, self.previous), sides, strict=True)
        ]
        return Comparison(y_true[:most], pair[0], pair[1])

    def _newest(self, at: datetime, delay: timedelta) -> Iterator[Any]:
        return iter(sorted(self._rows, key=lambda row: (row[0] + delay > at, -row[0].timestamp())))


def _answers(version: str, rows: list[tuple[str, float]]) -> Answers:
    return Answers(
        version,
        [label for label, _ in rows],
        np.array([confidence for _, confidence in rows]),
        np.full(len(rows), 0.5),
        10.0,
    )
