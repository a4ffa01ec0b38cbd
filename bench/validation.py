"""How often validation blocks a clean hour, and which kinds of bad hours it catches.

Hours of a real lake, held against training posts by what `covla validate` runs after Feast's join.
The posts are synthetic and drawn again and again from one pool; quality measures and hashes are of
their own content, languages are drawn, embeddings are constant. Hours are not alike: their number
of posts follows the time of day, some days are busier, and each hour has a mix of labels of its
own. A bad hour is caught where its expectation blocks it or puts its posts aside. The reference
figure: hours in which a Kolmogorov-Smirnov test at 5 % finds any of six measures different.
"""

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import ks_2samp

from bench import arguments
from bench.bad_hours import KINDS, Rows
from covla.model.encoders import Encoders
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.synthetic import iter_posts
from covla.posts.taxonomy import load_taxonomy
from covla.settings import Settings
from covla.time_range import TimeRange
from features.extract import extract
from features.lake import Lake
from features.tables import SCHEMAS
from features.validation.checks import Check
from features.validation.columns import measured
from features.validation.interval import comparable_counts, dead_letters_of
from features.validation.outcome import checks
from features.validation.plan import Evidence
from features.validation.rules import RANGES, load_rules
from features.validation.run import evaluate

START, HOUR = datetime(2026, 5, 1, tzinfo=UTC), timedelta(hours=1)
BEFORE = 48  # hours of history before the first that counts
POOL, REFERENCE = 1_000, 1_000
LABELLED, DEAD = 0.6, 0.01
LANGUAGES = {"en": 0.8, "es": 0.12, "fr": 0.05, "und": 0.03}


class _NoTowers:
    id = "none"

    def encode(self, items: Any) -> list[Any]:
        vectors = ([0.5] * 8, [0.5] * 8)
        return [
            SimpleNamespace(
                text_embedding=vectors[0] if item.text else None,
                image_embedding=None if item.image is None else vectors[1],
            )
            for item in items
        ]


def pool(n: int, seed: int, settings: Settings, rng: np.random.Generator) -> Rows:
    """Rows of the lake, with the label and the pixels besides."""
    blobs, encoders = BlobStore(settings), cast(Encoders, _NoTowers())
    made = list(iter_posts(n, seed, START, START + HOUR))
    items = [prepare(item.post, settings, blobs) for item, _ in made]
    uris = [None] * n
    rows: Rows = extract(items, encoders, START, secret=b"bench", image_uris=uris).to_pylist()
    drawn = rng.choice(list(LANGUAGES), n, p=list(LANGUAGES.values()))
    for row, item, (post, _), lang in zip(rows, items, made, drawn, strict=True):
        row |= {"label": post.label, "pixels": item.image, "lang": str(lang)}
    return rows


@dataclass(frozen=True)
class Checked:
    """What was found of an hour."""

    checks: list[Check]
    blocked: list[str]  # expectations
    aside: int  # posts


class Stream:
    """Hours of posts, drawn from a pool."""

    def __init__(
        self, rows: Rows, reference: Rows, settings: Settings, rng: np.random.Generator
    ) -> None:
        self.rows, self.settings, self.rng = rows, settings, rng
        self.reference = pd.DataFrame(reference)
        self.lake = Lake(settings)
        self.days = rng.lognormal(0, 0.2, 100)

    def posts(self, hour: int) -> int:
        """How many posts there are: about 15 at night and 200 by day."""
        mean = 110 * (1 + 0.85 * np.sin(2 * np.pi * (hour % 24 - 8) / 24))
        return max(int(self.rng.poisson(mean * self.days[hour // 24])), 3)

    def draw(self, posts: int) -> Rows:
        """Each row at most once."""
        labels = sorted({row["label"] for row in self.rows})
        weight = dict(zip(labels, self.rng.lognormal(0, 0.3, len(labels)), strict=True))
        shares = np.array([weight[row["label"]] for row in self.rows])
        size = min(posts, len(self.rows))
        chosen = self.rng.choice(len(shares), size, replace=False, p=shares / shares.sum())
        return [dict(self.rows[i]) for i in chosen]

    def write(self, hour: int, rows: Rows, dead: int) -> TimeRange:
        """An hour of posts and dead letters into the lake."""
        start = START + hour * HOUR
        letters = []
        for i, row in enumerate(rows):
            at = start + i * HOUR / len(rows)
            key = {"post_id": f"{hour}-{i}", "event_timestamp": at}
            source = {"topic": "posts", "partition": 0, "offset": hour * 10_000 + i}
            written = {"created_timestamp": at + timedelta(minutes=1), "posted_at": 0}
            row.update(key | source | written)
            row["labelled"] = bool(self.rng.random() < LABELLED)
        for i in range(dead):
            source = {"topic": f"{self.settings.topic_prefix}.posts", "partition": 1, "offset": i}
            times = {"event_timestamp": start, "created_timestamp": start}
            letters.append(source | times | {"stage": "parse", "error_code": "not_json"})
        tables = {"posts": rows, "dead_letters": letters}
        for table, made in tables.items():
            schema = SCHEMAS[table]
            self.lake.put(table, pa.Table.from_pylist(made, schema=schema), f"hour-{hour}")
        return TimeRange(start, start + HOUR)

    def check(self, rows: Rows, window: TimeRange) -> "Checked":
        """As `covla validate` does ten minutes after the hour, without Feast and the registry."""
        as_of = window.end + timedelta(minutes=10)
        names = load_taxonomy(settings=self.settings).names
        counts = comparable_counts(window, self.settings, as_of)
        dead = dead_letters_of(window, self.settings, as_of)
        evidence = Evidence(counts, dead, self.reference, names)
        frame = pd.DataFrame(rows).assign(teacher=None, hashtag_priors=None)
        frame["label"] = [row["label"] if row["labelled"] else None for row in rows]
        finds, _ = evaluate(measured(frame), load_rules(self.settings), evidence, set())
        made = checks(finds, len(rows))
        blocked = sorted({check.name for check in made if check.outcome == "blocked"})
        aside = {post for one in finds for post in one.aside(one.rule.severity)}
        return Checked(made, blocked, len(aside))

    def remove(self, hour: int, window: TimeRange) -> None:
        """As if the hour had not been."""
        for table in ("posts", "dead_letters"):
            self.lake.discard(table, window, f"hour-{hour}")


def different(rows: Rows, reference: Rows) -> bool:
    """Whether a test for any difference finds one."""
    now, known = pd.DataFrame(rows), pd.DataFrame(reference)
    return any(ks_2samp(now[c].dropna(), known[c].dropna())[1] < 0.05 for c in RANGES.values())


def main() -> None:
    options = arguments(__doc__ or "", hours=200, times=5)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        reference = pool(REFERENCE, 1, settings, rng)
        stream = Stream(pool(POOL, 2, settings, rng), reference, settings, rng)
        false: dict[str, list[str]] = {}
        aside, posts, differ = 0, 0, 0
        for hour in range(BEFORE + options.hours):
            rows = stream.draw(stream.posts(hour))
            window = stream.write(hour, rows, int(rng.binomial(len(rows), DEAD)))
            if hour >= BEFORE:
                found = stream.check(rows, window)
                if found.blocked:
                    false[str(hour)] = found.blocked
                aside, posts = aside + found.aside, posts + len(rows)
                differ += different(rows, reference)
        last = BEFORE + options.hours
        tries = {
            kind: [bad_hour(kind, last + 3 * i, stream) for i in range(options.times)]
            for kind in KINDS
        }
    caught = {kind: round(float(np.mean([c for c, _ in t])), 2) for kind, t in tries.items()}
    besides = {kind: sorted({name for _, by in t for name in by}) for kind, t in tries.items()}
    if not options.json:
        print(pd.DataFrame({"caught": caught, "blocked by": besides}).to_string())
    row = {
        "benchmark": "validation",
        "ours": len(false),
        "reference": differ,
        "ratio": round(len(false) / max(differ, 1), 4),
        "spread": [0, round(len(false) / max(differ, 1), 4)],
        "unit": f"blocked hours of {options.hours} clean ones",
        "cores": len(os.sched_getaffinity(0)),
        "false_blocks": false,
        "quarantined_share": round(aside / posts, 5),
        "caught": caught,
        "notes": f"{posts} synthetic posts in {options.hours} hours, a pool of {POOL}, a real "
        f"lake, no towers; each kind of bad hour {options.times} times; reference: hours "
        "in which a Kolmogorov-Smirnov test at 5 % finds one of six measures different",
    }
    print(json.dumps(row))


def bad_hour(kind: str, hour: int, stream: Stream) -> tuple[bool, list[str]]:
    """Whether its expectation caught it, and what blocked it."""
    name, change = KINDS[kind]
    posts = stream.posts(hour)
    rows = change(stream.draw(posts * 6 if kind == "flood" else posts), stream.rng)
    dead = posts // 2 if kind == "dead letters" else 0
    window = stream.write(hour, rows, dead)
    found = stream.check(rows, window)
    stream.remove(hour, window)
    outcomes = {check.outcome for check in found.checks if check.name == name}
    return bool({"blocked", "quarantined"} & outcomes), found.blocked


if __name__ == "__main__":
    main()
