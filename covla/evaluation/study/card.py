"""The model card: a template's prose, a study's figures."""

import os
from dataclasses import dataclass
from pathlib import Path
from string import Template

from covla.evaluation.study.records import Cost, Results, parse_list, read_results
from covla.evaluation.study.result import About
from covla.evaluation.study.statistics import Spread
from covla.evaluation.study.tables import tables
from covla.files import read_dataclass, read_json

_TITLES = {
    "noise": "Accuracy under noise: CoVLA, the strongest baseline, and in grey the others",
    "gate": "The mean gate under noise",
    "labels": "Accuracy with fewer labels",
    "reliability": "How often answers of a confidence are right",
    "confusion": "What CoVLA answers for each label",
    "cost": "Cost against macro-F1",
}


@dataclass(frozen=True)
class _Details:
    """What the card reads of details.json."""

    least_ece: Spread | None = None


def model_card(folder: Path, where: Path) -> str:
    """The card as Markdown.

    Args:
        folder: a result folder of `covla study`; read, never trained again.
        where: the folder that the card will lie in, for its links.

    Raises:
        CovlaError: `folder` is no result folder.
    """
    results = read_results(folder)
    about = read_dataclass(About, folder / "about.json")
    details = read_dataclass(_Details, folder / "details.json")
    cost = parse_list(Cost, read_json(folder / "cost.json"), folder / "cost.json")
    link = Path(os.path.relpath(folder, where)).as_posix()
    parts = [
        f"### {title}\n\n{table}" for title, table in tables(results, about.processor, cost).items()
    ]
    pictures = [
        f"![{title}]({link}/plots/{name}.svg)"
        for name, title in _TITLES.items()
        if (folder / "plots" / f"{name}.svg").exists()
    ]
    template = Template(Path(__file__).with_name("card.md").read_text())
    values = {
        **about.asked,
        **vars(about),
        "folder": _from_root(folder),
        "link": link,
        "headline": headline(results, details.least_ece),
        "tables": "\n\n".join([*parts, "### Pictures", *pictures]),
        "encoder": about.encoder_id,
        "versions": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
        "memory": about.memory_gib,
        "cpu_seconds": f"{about.cpu_seconds:,}",
        "unlabelled_in_all": about.unlabelled_in_all or about.unlabelled,
    }
    return template.substitute(values)


def _from_root(folder: Path) -> str:
    """The last three parts at most: the folder as it is named from the project's root."""
    parts = folder.absolute().parts
    return "/".join(parts[parts.index("bench") :] if "bench" in parts else parts[-1:])


def headline(results: Results, least_ece: Spread | None = None) -> str:
    """One paragraph: how good, and better than what by how much.

    Args:
        least_ece: what exact probabilities would show on as few posts.
    """
    covla = results.named("covla")
    if covla is None:
        return "This study has no row of CoVLA itself."
    accuracy, f1 = covla.accuracy, covla.macro_f1
    text = (
        f"CoVLA: accuracy **{accuracy.mean:.3f}** (± {accuracy.std:.3f}), "
        f"macro-F1 **{f1.mean:.3f}** (± {f1.std:.3f}), ECE {covla.ece.mean:.3f}"
    )
    if least_ece:
        text += f" (exact probabilities would show {least_ece} on as few posts)"
    text += "."
    against = covla.against_strongest
    if against is None:
        return text
    text += (
        f" The strongest plain baseline is {against.row}; against it {against.accuracy} in "
        f"accuracy, {against.macro_f1} in macro-F1."
    )
    same = results.named(f"{against.row}-distilled")
    if same is not None:
        gained = f"{same.accuracy.mean:.3f} (macro-F1 {same.macro_f1.mean:.3f})"
        text += f" The same baseline trained as CoVLA is reaches {gained}."
    for tiny in results.rows:
        if tiny.against_tiny:
            reached = f"{tiny.accuracy.mean:.3f}, {tiny.against_tiny.accuracy}"
            text += f" `tiny` distilled from the same teacher reaches {reached} against itself"
            text += " without."
    return text
