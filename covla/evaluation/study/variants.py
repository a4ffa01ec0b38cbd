"""What a study compares: one row per way to train, declared here and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from covla.errors import CovlaError
from covla.model.configuration import CovlaConfig
from covla.training.config import Plan
from covla.training.recipe import Recipe
from covla.training.teachers.resolve import ENSEMBLE, NO_TEACHER, Teacher

BUDGETS = (0.1, 0.25, 0.5)
_COSTLY = ("xattn", "sgmft")
_FUSIONS = ("late", "concat", "gate", *_COSTLY)


@dataclass(frozen=True)
class Variant:
    """One way to train. `name` is how the tables call it, `kind` what it is there for.

    teacher, stage1, copies: whether it is distilled, whether contextual pretraining comes first,
    and whether noisy copies of the posts train too.
    overrides: fields of the model's configuration. preset: towers of its own, else the study's.
    trains: false for rows that are not fitted by the trainer (zero-shot, the label nodes alone, the
    teacher itself); chance has no part in them, so they have one seed.
    share: of the labelled training posts that keep their label.
    every_post: whether it learns from all posts without a label, not from as many as the study asks
    for: towers from scratch need them.
    """

    name: str
    kind: str
    arch: str = "covla"
    teacher: bool = True
    stage1: bool = True
    copies: bool = True
    overrides: dict[str, Any] = field(default_factory=dict)
    preset: str | None = None
    trains: bool = True
    share: float = 1.0
    every_post: bool = False

    @property
    def noisy(self) -> bool:
        """Whether it is judged on noisy posts too: all but those that cost too much."""
        kinds = {"covla", "baseline", "distilled", "ablation"}
        return self.kind in kinds and self.arch not in _COSTLY

    @property
    def base(self) -> str:
        """The name without the label budget."""
        return self.name.partition("@")[0]

    def at(self, share: float) -> "Variant":
        """The same with fewer labels."""
        return replace(self, name=f"{self.base}@{share:.0%}", kind="budget", share=share)

    def plan(self, common: "SharedConfig", seed: int) -> Plan:
        """What the trainer is given.

        A row that learns from labels alone sees fewer posts with fewer labels; its epochs grow so
        that it makes as many steps as with all of them.
        """
        recipe = replace(common.recipe, seed=seed)
        if not self.stage1:
            recipe = replace(recipe, pretrain_epochs=0)
        if not self.copies:
            recipe = replace(recipe, noisy_copies=0)
        if not self.teacher:
            recipe = replace(recipe, epochs=round(recipe.epochs / self.share))
        teacher = common.teacher if self.teacher else NO_TEACHER
        return Plan(self.preset or common.preset, self.arch, teacher, recipe, self.overrides)


@dataclass(frozen=True)
class SharedConfig:
    """What all rows of a study share: towers, teacher, and how long and how fast to learn."""

    preset: str = "base"
    teacher: Teacher = ENSEMBLE
    recipe: Recipe = field(default_factory=Recipe)


def _ablation(what: str, **changes: Any) -> Variant:
    return replace(Variant(f"covla{what}", "ablation"), **changes)


def every_row() -> list[Variant]:
    """Every row that can be asked for, in the order of the tables."""
    plain = [
        Variant(arch, "baseline", arch, teacher=False, stage1=False, copies=False)
        for arch in ("text", "image", *_FUSIONS)
    ]
    graph = CovlaConfig(labels=["a", "b"]).graph
    return [
        Variant("zero-shot", "baseline", teacher=False, stage1=False, trains=False),
        *plain,
        *(
            replace(r, name=f"{r.name}-distilled", kind="distilled", teacher=True, copies=True)
            for r in plain
        ),
        Variant("covla", "covla"),
        _ablation("-graph" if graph else "+graph", overrides={"graph": not graph}),
        _ablation("-cam", overrides={"alignment": "mean"}),
        _ablation("-cmf", overrides={"fusion": "concat"}),
        _ablation("-labels", overrides={"label_nodes": False}),
        _ablation("-kd", teacher=False),
        _ablation("-stage1", stage1=False),
        _ablation("-noise", copies=False),
        _ablation("-context", overrides={"context_nodes": []}),
        _ablation("-tau", overrides={"alignment": "paper"}),
        Variant("label-nodes", "ablation", teacher=False, stage1=False, trains=False),
        Variant("teacher", "teacher", stage1=False, trains=False),
        Variant("tiny", "tiny", teacher=False, copies=False, preset="tiny", every_post=True),
        Variant("tiny-distilled", "tiny", copies=False, preset="tiny", every_post=True),
    ]


def choose(names: Sequence[str], common: SharedConfig) -> list[Variant]:
    """The rows of these names or kinds, in the order of the tables; all for none.

    Raises:
        CovlaError: an unknown name; or a row that needs a teacher, or `base`, without one.
    """
    rows = every_row()
    choices = {row.name for row in rows} | {row.kind for row in rows}
    for name in names:
        if name not in choices:
            raise CovlaError(f"rows: {name!r} is not one of {', '.join(sorted(choices))}")
    chosen = [row for row in rows if not names or row.name in names or row.kind in names]
    refused = {row.name: error for row in chosen if (error := _refusal(row, common))}
    if names and refused:
        raise next(iter(refused.values()))
    return [row for row in chosen if row.name not in refused]


def _refusal(row: Variant, common: SharedConfig) -> CovlaError | None:
    if row.teacher and common.teacher.kind == "none" and row.kind not in {"covla", "ablation"}:
        return CovlaError(f"rows: {row.name} needs a teacher", hint="Give --teacher")
    if row.name == "teacher" and common.teacher.kind != "ensemble":
        return CovlaError("rows: only the teacher `ensemble` names a label by itself")
    if row.name == "zero-shot" and common.preset != "base":
        return CovlaError("rows: zero-shot is defined for the encoders of preset `base`")
    return None


def with_budgets(rows: list[Variant]) -> list[Variant]:
    """`rows`, and CoVLA and the plain baselines again with 10, 25 and 50 % of the labels.

    Those whose sides read each other are left out: they cost 5 to 10 times the others, and
    were not the strongest with all labels.
    """
    again = [row for row in rows if row.kind in {"covla", "baseline"} and row.trains]
    again = [row for row in again if row.arch not in _COSTLY]
    return [*rows, *(row.at(share) for share in BUDGETS for row in again)]
