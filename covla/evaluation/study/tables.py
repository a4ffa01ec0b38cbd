"""The rows of a study as Markdown tables."""

from collections.abc import Sequence
from itertools import pairwise

from covla.evaluation.study.records import Comparison, Cost, Results
from covla.evaluation.study.statistics import Difference, Spread
from covla.evaluation.study.summary import SHOWN_LEVEL

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


def _text(value: Spread | Difference | None) -> str:
    return "" if value is None else str(value)


def _gaps(against: Comparison | None) -> list[str]:
    return [str(against.accuracy), str(against.macro_f1)] if against else ["", ""]


def tables(results: Results, machine: str, cost: list[Cost]) -> dict[str, str]:
    """Title -> table, those alone that this study has rows for.

    Args:
        machine: what the speeds in `cost` were measured on.
    """
    found = {
        "All rows": _main(results),
        "What each part brings": _ablations(results),
        "Fewer labels": _budgets(results),
        "Noise": _noise(results),
        "The gate under noise": _gate(results),
        "Cost": _cost(cost, results, machine),
    }
    return {title: table for title, table in found.items() if table}


def _main(results: Results) -> str:
    shown = results.of_kind("baseline", "distilled", "covla", "teacher", "tiny")
    kinds = sorted({kind for row in shown for kind in row.per_pair_type})
    head = ["row", "kind", "seeds", "accuracy", "macro-F1", "weighted F1", "ECE", *kinds]
    head += ["accuracy against the strongest baseline", "macro-F1 against it"]
    bold = {results.strongest, "covla"}
    body = [
        [
            f"**{row.name}**" if row.name in bold else row.name,
            row.kind,
            str(row.seeds),
            *map(str, (row.accuracy, row.macro_f1, row.weighted_f1, row.ece)),
            *(_text(row.per_pair_type.get(kind)) for kind in kinds),
            *_gaps(row.against_strongest),
        ]
        for row in shown
    ]
    return markdown(head, body) if body else ""


def _ablations(results: Results) -> str:
    head = ["row", "what", "accuracy", "macro-F1", "accuracy against covla", "macro-F1 against it"]
    shown = results.of_kind("ablation")
    noisy = any(row.under_noise for row in shown)
    if noisy:
        head += [f"accuracy under {SHOWN_LEVEL:.0%} noise", "against covla's"]
        shown = [*results.of_kind("covla"), *shown]
    body = []
    for row in shown:
        cells = [row.name, PARTS.get(row.name, ""), str(row.accuracy), str(row.macro_f1)]
        cells += _gaps(row.against_covla)
        if noisy:
            under = row.under_noise
            cells += [_text(under.accuracy), _text(under.against_covla)] if under else ["", ""]
        body.append(cells)
    return markdown(head, body) if body else ""


def _budgets(results: Results) -> str:
    few = results.of_kind("budget")
    if not few:
        return ""
    shares = [*sorted({row.labels for row in few}), 1.0]
    rows = {(row.base, row.labels): row for row in results.rows}
    body = [
        [name, *(str(rows[name, share].accuracy) for share in shares)]
        for name in dict.fromkeys(row.base for row in few)
        if (name, 1.0) in rows
    ]
    if ("covla", shares[0]) in rows:
        against = [rows["covla", share].against_strongest for share in shares]
        body.append(["covla against the strongest of them", *(_gaps(one)[0] for one in against)])
        body.append(["which is", *(one.row if one else "" for one in against)])
    return markdown(["accuracy with", *(f"{share:.0%}" for share in shares)], body)


def _noise(results: Results) -> str:
    best = results.strongest
    trained = f"{best}-distilled"
    shown = {(row.of, row.noise): row for row in results.noisy if row.level == SHOWN_LEVEL}
    head = ["30 % of", "covla", "loses", f"{best}", "loses", "share of its loss", "difference"]
    if any(of == trained for of, _ in shown):
        head += [f"{trained} loses"]
    body = []
    for (of, noise), row in shown.items():
        rival, same = shown.get((str(best), noise)), shown.get((trained, noise))
        if of != "covla" or rival is None:
            continue
        lost, theirs = row.drop.accuracy, rival.drop.accuracy
        cells = [
            noise, str(row.accuracy), f"{lost:+.3f}", str(rival.accuracy), f"{theirs:+.3f}",
            f"{lost / theirs:.2f}" if theirs > 0 else "", _gaps(row.against_strongest)[0],
        ]  # fmt: skip
        body.append(cells + ([f"{same.drop.accuracy:+.3f}"] if same else []))
    return markdown(head, body) if body else ""


def gates(results: Results) -> dict[str, list[tuple[float, float]]]:
    """Noise -> CoVLA's mean gate at each level, the clean one first."""
    clean = results.named("covla")
    found: dict[str, list[tuple[float, float]]] = {}
    for row in results.noisy:
        if row.of == "covla" and row.gate and clean and clean.gate:
            start = [(0.0, clean.gate.mean)]
            found.setdefault(row.noise, start).append((row.level, row.gate.mean))
    return {noise: sorted(points) for noise, points in found.items()}


def _gate(results: Results) -> str:
    found = gates(results)
    if not found:
        return ""
    levels = [level for level, _ in next(iter(found.values()))]
    body = []
    for noise, points in found.items():
        values = [gate for _, gate in points]
        steps = [b - a for a, b in pairwise(values)]
        away = all(step <= 0 if noise.startswith("text") else step >= 0 for step in steps)
        body.append([noise, *(f"{value:.3f}" for value in values), "yes" if away else "no"])
    head = ["share of the text at", *(f"{level:.0%}" for level in levels), "moves away"]
    return markdown(head, body)


def _cost(cost: list[Cost], results: Results, machine: str) -> str:
    rows = {row.name: row for row in results.rows}
    head = ["row", "macro-F1", "parameters of the head", "of its towers", "GFLOPs a post"]
    head += ["head, ms a post", f"posts/s ({machine})", "CPU seconds to fit and judge"]
    body = [
        [
            one.row, f"{rows[one.row].macro_f1.mean:.3f}", f"{one.head_parameters:,}",
            f"{one.tower_parameters:,}", f"{one.gflops:.3f}", f"{one.head_milliseconds:.2f}",
            f"{one.posts_per_second:.0f}", f"{rows[one.row].cpu_seconds:.0f}",
        ]
        for one in cost
    ]  # fmt: skip
    return markdown(head, body) if body else ""
