"""How often the drift monitor cries wolf, and how often it names the modality that did change.

Synthetic posts, windows of 100, 200 and 300. Without drift, every round splits the same posts anew
into reference and window, so that any alarm is a false one. The reference figure is what the same
tests do at 5 % each without correction. `rates` are per window size.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from bench import arguments
from covla.inference.text_image_similarity import Agreement
from covla.model.encoders import Encoders, load_encoders
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import prepare
from covla.posts.synthetic import Drift, iter_posts
from covla.settings import Settings
from features.extract import extract
from monitoring import drift
from monitoring.columns import Comparison, compare
from monitoring.two_samples import homogeneity, mmd_p_value

SIZES = (100, 200, 300)
REFERENCE = 1_000
START = datetime(2026, 5, 1, tzinfo=UTC)


def features(
    n: int, seed: int, settings: Settings, encoders: Encoders, change: Drift | None = None
) -> pd.DataFrame:
    """Feature rows of `n` synthetic posts."""
    blobs, end = BlobStore(settings), START + timedelta(days=1)
    parts, batch = [], []
    for i, (item, _) in enumerate(iter_posts(n, seed, START, end, drift=change), 1):
        batch.append(prepare(item.post, settings, blobs))
        if len(batch) == 64 or i == n:
            uris = [None] * len(batch)
            parts.append(extract(batch, encoders, START, secret=b"bench", image_uris=uris))
            batch = []
    rows: pd.DataFrame = pd.concat([part.to_pandas() for part in parts], ignore_index=True)
    return rows


def p_values(comparison: Comparison) -> dict[str, float]:
    """The tests that Evidently runs for the monitor, without its drawing."""
    found = {}
    for name in drift.thresholds(comparison):
        modality = name.removesuffix("_embedding")
        sides = (comparison.reference, comparison.current)
        if modality in comparison.embeddings:
            parts = comparison.embeddings[modality]
            found[name] = mmd_p_value(*(side[parts].dropna().to_numpy() for side in sides))
        else:
            known, seen = (side[name].dropna() for side in sides)
            categorical = name in comparison.categorical
            found[name] = homogeneity(known, seen) if categorical else ks_2samp(known, seen)[1]
    return found


def result_of(comparison: Comparison, p_values: dict[str, float]) -> drift.DriftResult:
    """What the monitor decides from these p-values."""
    return drift.evaluate(comparison, p_values, drift.thresholds(comparison))


def rates(
    plain: pd.DataFrame, changed: Mapping[Drift, pd.DataFrame], signal: Agreement, rounds: int
) -> dict[str, Any]:
    """Per window size: false alarms corrected and not, and how often each change was named."""
    rng = np.random.default_rng(0)
    table: dict[str, Any] = {}
    for size in SIZES:
        alarms, uncorrected = 0, 0
        for _ in range(rounds):
            order = rng.permutation(len(plain))
            window, reference = plain.iloc[order[:size]], plain.iloc[order[-2 * REFERENCE :]]
            comparison = compare(window, reference, signal)
            found = p_values(comparison)
            alarms += result_of(comparison, found).drift
            uncorrected += min(found.values()) < 0.05
        row = {"false_alarms": alarms / rounds, "uncorrected": uncorrected / rounds}
        for name, frame in changed.items():
            tries = max(rounds // 5, 1)
            hits = 0
            for _ in range(tries):
                window = frame.iloc[rng.permutation(len(frame))[:size]]
                comparison = compare(window, plain.iloc[: 2 * REFERENCE], signal)
                hits += result_of(comparison, p_values(comparison)).drift_modality == name
            row[f"{name}_named"] = hits / tries
        table[str(size)] = row
    return table


def main() -> None:
    options = arguments(__doc__ or "", rounds=60)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state=Path(folder))
        encoders = load_encoders("base", settings)
        plain = features(2 * REFERENCE + max(SIZES), 1, settings, encoders)
        kinds: tuple[Drift, ...] = ("image", "text")
        changed = {
            kind: features(2 * max(SIZES), seed, settings, encoders, kind)
            for seed, kind in enumerate(kinds, 2)
        }
        table = rates(plain, changed, Agreement.load(settings), options.rounds)
    if not options.json:
        print(pd.DataFrame(table).T.to_string())
    ours, reference = (table["200"][name] for name in ("false_alarms", "uncorrected"))
    ratios = [row["false_alarms"] / max(row["uncorrected"], 1e-9) for row in table.values()]
    row = {
        "benchmark": "drift",
        "ours": ours,
        "reference": reference,
        "ratio": round(ours / max(reference, 1e-9), 4),
        "spread": [round(min(ratios), 4), round(max(ratios), 4)],
        "unit": "false alarms per window of 200 posts",
        "cores": len(os.sched_getaffinity(0)),
        "rates": table,
        "notes": f"synthetic posts, {options.rounds} windows without drift per size, "
        f"{max(options.rounds // 5, 1)} per change; reference: the same tests at 5 % each",
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
