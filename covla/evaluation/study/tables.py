"""The rows of a study as Markdown tables."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from covla.evaluation.study.summary import SHOWN_LEVEL

Record = dict[str, Any]
# How the tables call what is left out.
PARTS = {
    "covla-graph": "context graph left out",
    "covla+graph": "context graph added",
    "covla-cam": "CAM left out (mean of the regions)",
    "covla-cmf": "CMF left out (concatenation)",
    "covla-labels": "label nodes left out",
    "label-nodes": "label nodes alone, nothing else of CoVLA",
    "covla-kd": "distillation left out",
    "covla-stage1": "stage 1 left out",
    "covla-context": "context nodes left out",
    "covla-noise": "noisy copies of the posts left out of training",
    "covla-tau": "tau = 1 (paper) instead of learnt",
}


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)])


def _mean(value: Any) -> str:
    return "" if value is None else f"{value['mean']:.3f} ± {value['std']:.3f}"


def gap(against: Any, metric: str = "accuracy") -> str:
    """`+0.012 [-0.003, +0.027]`; empty without a comparison."""
    if not against:
        return ""
    found = against[metric]
    low, high = found["interval"]
    return f"{found['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"


def by_kind(rows: Sequence[Record], *kinds: str) -> list[Record]:
    """The rows of these kinds, in order."""
    return [row for row in rows if row["kind"] in kinds]


def strongest(rows: Sequence[Record]) -> str | None:
    """The plain baseline with the best mean accuracy."""
    plain = by_kind(rows, "baseline")
    return max(plain, key=lambda row: row["accuracy"]["mean"])["name"] if plain else None


def tables(rows: list[Record], about: dict[str, Any], cost: list[Record]) -> dict[str, str]:
    """Title -> table, those alone that this study has rows for."""
    found = {
        "All rows": _main(rows),
        "What each part brings": _ablations(rows),
        "Fewer labels": _budgets(rows),
        "Noise": _noise(rows),
        "The gate under noise": _gate(rows),
        "Cost": _cost(cost, rows, about),
    }
    return {title: table for title, table in found.items() if table}


def _main(rows: list[Record]) -> str:
    shown = by_kind(rows, "baseline", "distilled", "covla", "teacher", "tiny")
    kinds = sorted({kind for row in shown for kind in row["per_pair_type"]})
    head = ["row", "kind", "seeds", "accuracy", "macro-F1", "weighted F1", "ECE", *kinds]
    head += ["accuracy against the strongest baseline", "macro-F1 against it"]
    best = strongest(rows)
    body = [
        [
            f"**{row['name']}**" if row["name"] in {best, "covla"} else row["name"],
            row["kind"],
            str(row["seeds"]),
            *(_mean(row[key]) for key in ("accuracy", "macro_f1", "weighted_f1", "ece")),
            *(_mean(row["per_pair_type"].get(kind)) for kind in kinds),
            gap(row["against_strongest"]),
            gap(row["against_strongest"], "macro_f1"),
        ]
        for row in shown
    ]
    return markdown(head, body) if body else ""


def _ablations(rows: list[Record]) -> str:
    head = ["row", "what", "accuracy", "macro-F1", "accuracy against covla", "macro-F1 against it"]
    shown = by_kind(rows, "ablation")
    noisy = any("under_noise" in row for row in shown)
    if noisy:
        head += [f"accuracy under {SHOWN_LEVEL:.0%} noise", "against covla's"]
        shown = [*by_kind(rows, "covla"), *shown]
    body = []
    for row in shown:
        against, noise = row.get("against_covla"), row.get("under_noise", {})
        cells = [row["name"], PARTS.get(row["name"], ""), _mean(row["accuracy"])]
        cells += [_mean(row["macro_f1"]), gap(against), gap(against, "macro_f1")]
        if noisy:
            under = noise.get("against_covla")
            cells += [_mean(noise.get("accuracy")), gap(under and {"accuracy": under})]
        body.append(cells)
    return markdown(head, body) if body else ""


def _budgets(rows: list[Record]) -> str:
    few = by_kind(rows, "budget")
    if not few:
        return ""
    shares = sorted({row["labels"] for row in few})
    names = list(dict.fromkeys(row["name"].partition("@")[0] for row in few))
    there = {(row["name"].partition("@")[0], row["labels"]): row for row in rows if "labels" in row}
    body = [
        [name, *(_mean(there[name, share]["accuracy"]) for share in [*shares, 1.0])]
        for name in names
        if (name, 1.0) in there
    ]
    if ("covla", shares[0]) in there:
        against = [there["covla", share]["against_strongest"] for share in [*shares, 1.0]]
        body.append(["covla against the strongest of them", *(gap(one) for one in against)])
        body.append(["which is", *((one or {}).get("row", "") for one in against)])
    return markdown(["accuracy with", *(f"{share:.0%}" for share in [*shares, 1.0])], body)


def _noise(rows: list[Record]) -> str:
    best = strongest(rows)
    shown = [row for row in by_kind(rows, "noise") if row["level"] == SHOWN_LEVEL]
    trained = f"{best}-distilled"
    head = ["30 % of", "covla", "loses", f"{best}", "loses", "share of its loss", "difference"]
    compared = any(row["of"] == trained for row in shown)
    if compared:
        head += [f"{trained} loses"]
    body = []
    for row in (row for row in shown if row["of"] == "covla"):
        rival = next((r for r in shown if r["of"] == best and r["noise"] == row["noise"]), None)
        if rival is None:
            continue
        lost, theirs = row["drop"]["accuracy"], rival["drop"]["accuracy"]
        body.append(
            [
                row["noise"], _mean(row["accuracy"]), f"{lost:+.3f}", _mean(rival["accuracy"]),
                f"{theirs:+.3f}", f"{lost / theirs:.2f}" if theirs > 0 else "",
                gap(row["against_strongest"]),
            ]
        )  # fmt: skip
        for same in shown:
            if compared and (same["of"], same["noise"]) == (trained, row["noise"]):
                body[-1].append(f"{same['drop']['accuracy']:+.3f}")
    return markdown(head, body) if body else ""


def gates(rows: list[Record]) -> dict[str, list[tuple[float, float]]]:
    """Noise -> CoVLA's mean gate at each level, the clean one first."""
    clean = next((row for row in rows if row["name"] == "covla"), None)
    found: dict[str, list[tuple[float, float]]] = {}
    for row in by_kind(rows, "noise"):
        if row["of"] == "covla" and clean is not None and row["gate"]:
            start = [(0.0, clean["gate"]["mean"])]
            found.setdefault(row["noise"], start).append((row["level"], row["gate"]["mean"]))
    return {noise: sorted(points) for noise, points in found.items()}


def _gate(rows: list[Record]) -> str:
    found = gates(rows)
    if not found:
        return ""
    levels = [level for level, _ in next(iter(found.values()))]
    body = []
    for noise, points in found.items():
        values = [gate for _, gate in points]
        steps = [b - a for a, b in pairwise(values)]
        away = all(step <= 0 if noise.startswith("text") else step >= 0 for step in steps)
        body.append([noise, *(f"{value:.3f}" for value in values), "yes" if away else "no"])
    head = [
        "share of the text at",
        *(f"{level:.0%}" for level in levels),
        "moves away",
    ]
    return markdown(head, body)


def _cost(cost: list[Record], rows: list[Record], about: dict[str, Any]) -> str:
    f1 = {row["name"]: row["macro_f1"]["mean"] for row in rows}
    train = {row["name"]: row["cpu_seconds"] for row in rows if "cpu_seconds" in row}
    head = ["row", "macro-F1", "parameters of the head", "of its towers", "GFLOPs a post"]
    head += ["head, ms a post", f"posts/s ({about['cpu']}, {about['cores']} cores)"]
    head += ["CPU seconds to fit and judge"]
    body = [
        [
            row["row"], f"{f1[row['row']]:.3f}", f"{row['head_parameters']:,}",
            f"{row['tower_parameters']:,}", f"{row['gflops']:.3f}",
            f"{row['head_milliseconds']:.2f}", f"{row['posts_per_second']:.0f}",
            f"{train[row['row']]:.0f}",
        ]
        for row in cost
    ]  # fmt: skip
    return markdown(head, body) if body else ""
