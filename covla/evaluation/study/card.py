"""The model card: a template's prose, a study's figures."""

import os
from pathlib import Path
from string import Template
from typing import Any

from covla.evaluation.study.result import read_results
from covla.evaluation.study.tables import gap, strongest, tables
from covla.files import read_json

Record = dict[str, Any]
_TITLES = {
    "noise": "Accuracy under noise: CoVLA, the strongest baseline, and in grey the others",
    "gate": "The mean gate under noise",
    "labels": "Accuracy with fewer labels",
    "reliability": "How often answers of a confidence are right",
    "confusion": "What CoVLA answers for each label",
    "cost": "Cost against macro-F1",
}
_ABOUT = ("n", "train", "unlabelled", "unlabelled_in_all", "calibration", "cpu", "cores")


def model_card(folder: Path, where: Path) -> str:
    """The card as Markdown.

    Args:
        folder: a result folder of `covla study`; read, never trained again.
        where: the folder that the card will lie in, for its links.

    Raises:
        CovlaError: `folder` is no result folder.
    """
    rows = read_results(folder)
    about, cost, details = (
        read_json(folder / f"{name}.json") for name in ("about", "cost", "details")
    )
    link = Path(os.path.relpath(folder, where)).as_posix()
    asked = about["asked"]
    parts = [f"### {title}\n\n{table}" for title, table in tables(rows, about, cost).items()]
    pictures = [
        f"![{title}]({link}/plots/{name}.svg)"
        for name, title in _TITLES.items()
        if (folder / "plots" / f"{name}.svg").exists()
    ]
    template = Template(Path(__file__).with_name("card.md").read_text())
    return template.substitute(
        folder=_from_root(folder),
        link=link,
        headline=headline(rows, details["least_ece"]),
        tables="\n\n".join([*parts, "### Pictures", *pictures]),
        date=about["date"],
        seeds=asked["seeds"],
        split=asked["split"],
        preset=asked["preset"],
        teacher=asked["teacher"],
        encoder=about["encoder_id"],
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()),
        memory=about["memory_gib"],
        cpu_seconds=f"{about['cpu_seconds']:,}",
        **{key: about[key] for key in _ABOUT},
    )


def _from_root(folder: Path) -> str:
    """The last three parts at most: the folder as it is named from the project's root."""
    parts = folder.absolute().parts
    return "/".join(parts[parts.index("bench") :] if "bench" in parts else parts[-1:])


def _spread(value: Record) -> str:
    return f"{value['mean']:.3f} ± {value['std']:.3f}"


def headline(rows: list[Record], least_ece: Record | None = None) -> str:
    """One paragraph: how good, and better than what by how much.

    Args:
        least_ece: what exact probabilities would show on as few posts.
    """
    covla = next((row for row in rows if row["name"] == "covla"), None)
    if covla is None:
        return "This study has no row of CoVLA itself."
    accuracy, f1 = covla["accuracy"], covla["macro_f1"]
    said = (
        f"CoVLA: accuracy **{accuracy['mean']:.3f}** (± {accuracy['std']:.3f}), "
        f"macro-F1 **{f1['mean']:.3f}** (± {f1['std']:.3f}), ECE {covla['ece']['mean']:.3f}"
    )
    if least_ece:
        said += f" (exact probabilities would show {_spread(least_ece)} on as few posts)"
    said += "."
    best = strongest(rows)
    if best is None:
        return said
    against = covla["against_strongest"]
    text = (
        f"{said} The strongest plain baseline is {best}; against it {gap(against)} in accuracy, "
        f"{gap(against, 'macro_f1')} in macro-F1."
    )
    same = next((row for row in rows if row["name"] == f"{best}-distilled"), None)
    if same is not None:
        gained = f"{same['accuracy']['mean']:.3f} (macro-F1 {same['macro_f1']['mean']:.3f})"
        text += f" The same baseline trained as CoVLA is reaches {gained}."
    tiny = next((row for row in rows if row.get("against_tiny")), None)
    if tiny is not None:
        reached = f"{tiny['accuracy']['mean']:.3f}, {gap(tiny['against_tiny'])}"
        text += f" `tiny` distilled from the same teacher reaches {reached} against itself without."
    return text
