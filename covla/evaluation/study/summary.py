"""Runs to rows: mean and spread over seeds, and differences with their intervals."""

import numpy as np

from covla.arrays import Array
from covla.evaluation.bootstrap import Bootstrap
from covla.evaluation.study.records import (
    Comparison,
    Details,
    Drop,
    NoisyRow,
    Results,
    Row,
    UnderNoise,
)
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.statistics import Spread, difference, spread
from covla.evaluation.study.variants import Variant
from covla.metrics import CalibrationBin, calibration_bins, ece, scores

SHOWN_LEVEL = 0.3  # of noise, in tables


class Summary:
    """What the runs of a study amount to.

    Args:
        outcomes: by row name, one per seed.
        y_true: n label indices of the evaluated posts.
        pair_types: n, None where a post has none.
    """

    def __init__(
        self,
        rows: list[Variant],
        outcomes: dict[str, list[RunResult]],
        y_true: Array,
        pair_types: list[str | None],
        labels: list[str],
    ) -> None:
        self.rows, self.outcomes, self.y_true = rows, outcomes, y_true
        self.pair_types, self.labels = pair_types, labels
        self.bootstrap = Bootstrap(y_true, len(labels))
        self._drawn: dict[tuple[str, int | None], dict[str, Array]] = {}
        self.strongest = self._best([row.name for row in rows if row.kind == "baseline"])

    def results(self) -> Results:
        """Every row with its comparisons, clean and noisy."""
        return Results(
            [self._row(row) for row in self.rows],
            [noisy for row in self.rows for noisy in self._noisy(row)],
        )

    def _best(self, names: list[str]) -> str | None:
        def accuracy(name: str) -> float:
            return float(self._resampled(name)["accuracy"][0])

        return max(names, key=accuracy, default=None)

    def _y_pred(self, name: str, condition: int | None) -> Array:
        runs = self.outcomes[name]
        logits = (r.logits if condition is None else r.noisy_logits[condition] for r in runs)
        return np.stack([each.argmax(1) for each in logits])

    def _resampled(self, name: str, condition: int | None = None) -> dict[str, Array]:
        key = name, condition
        if key not in self._drawn:
            y_pred = self._y_pred(name, condition)
            self._drawn[key] = {
                "accuracy": self.bootstrap.accuracy(y_pred),
                "macro_f1": self.bootstrap.macro_f1(y_pred),
            }
        return self._drawn[key]

    def _against(
        self, name: str, other: str | None, condition: int | None = None
    ) -> Comparison | None:
        if other is None or other == name:
            return None
        ours, theirs = self._resampled(name, condition), self._resampled(other, condition)
        return Comparison(other, **{key: difference(ours[key], theirs[key]) for key in ours})

    def _row(self, row: Variant) -> Row:
        runs = self.outcomes[row.name]
        each = [
            scores(run.probabilities(), self.y_true, self.labels, self.pair_types) for run in runs
        ]
        gates = [float(run.gate.mean()) for run in runs if not np.isnan(run.gate).any()]
        rival = self._strongest_at(row) if row.kind == "budget" else self.strongest
        ablation = row.kind == "ablation" and "covla" in self.outcomes
        taught = row.kind == "tiny" and row.teacher and "tiny" in self.outcomes
        return Row(
            name=row.name,
            kind=row.kind,
            seeds=len(runs),
            accuracy=spread([one.accuracy for one in each]),
            macro_f1=spread([one.macro_f1 for one in each]),
            weighted_f1=spread([one.weighted_f1 for one in each]),
            ece=spread([one.ece for one in each]),
            per_pair_type={
                kind: spread([one.per_pair_type[kind].accuracy for one in each])
                for kind in each[0].per_pair_type
            },
            gate=spread(gates) if gates else None,
            labels=row.share,
            parameters=runs[0].parameters,
            cpu_seconds=float(np.mean([run.cpu_seconds for run in runs])),
            against_strongest=self._against(row.name, rival),
            under_noise=self._under_noise(row) if row.noisy and runs[0].conditions else None,
            against_covla=self._against(row.name, "covla") if ablation else None,
            against_tiny=self._against(row.name, "tiny") if taught else None,
        )

    def _strongest_at(self, row: Variant) -> str | None:
        """The best plain baseline with as few labels; zero-shot needs none."""
        baselines = {r.name for r in self.rows if r.kind == "baseline"}
        return self._best(
            [
                r.name
                for r in self.rows
                if (r.kind == "budget" and r.share == row.share and r.base in baselines)
                or r.name == "zero-shot"
            ]
        )

    def _noisy(self, row: Variant) -> list[NoisyRow]:
        runs = self.outcomes[row.name]
        records = []
        for k, condition in enumerate(runs[0].conditions):
            noise, _, level = condition.partition(" ")
            each = [
                scores(np.eye(len(self.labels))[y_pred], self.y_true, self.labels)
                for y_pred in self._y_pred(row.name, k)
            ]
            gates = [float(run.noisy_gate[k].mean()) for run in runs]
            compared = self.strongest is not None and self.strongest != row.name
            records.append(
                NoisyRow(
                    name=f"{row.name} {condition}",
                    of=row.name,
                    noise=noise,
                    level=float(level.rstrip("%")) / 100,
                    seeds=len(runs),
                    accuracy=spread([one.accuracy for one in each]),
                    macro_f1=spread([one.macro_f1 for one in each]),
                    drop=self._drop(row.name, k),
                    against_strongest=self._against(row.name, self.strongest, k),
                    gate=None if np.isnan(gates).any() else spread(gates),
                    drop_strongest=self._drop(str(self.strongest), k) if compared else None,
                )
            )
        return records

    def _under_noise(self, row: Variant) -> UnderNoise:
        """At `SHOWN_LEVEL`."""
        level = f" {SHOWN_LEVEL:.0%}"
        conditions = self.outcomes[row.name][0].conditions
        chosen = [k for k, name in enumerate(conditions) if name.endswith(level)]

        def mean(name: str) -> Array:
            each = [self._resampled(name, k)["accuracy"] for k in chosen]
            total: Array = np.mean(each, axis=0)
            return total

        correct = [(self._y_pred(row.name, k) == self.y_true).mean(1) for k in chosen]
        against = None
        if row.kind == "ablation" and "covla" in self.outcomes:
            against = difference(mean(row.name), mean("covla"))
        return UnderNoise(spread(np.mean(correct, axis=0).tolist()), against)

    def _drop(self, name: str, condition: int) -> Drop:
        clean, noisy = self._resampled(name), self._resampled(name, condition)
        return Drop(**{metric: float(clean[metric][0] - noisy[metric][0]) for metric in clean})

    def details(self) -> Details:
        """For the images: confusion and reliability of CoVLA and of the strongest baseline."""
        shown = [name for name in ("covla", self.strongest) if name in self.outcomes]
        return Details(
            strongest=self.strongest,
            labels=self.labels,
            confusion={str(name): self._confusion(str(name)) for name in shown},
            reliability={str(name): self._reliability(str(name)) for name in shown},
            least_ece=self._least_ece() if "covla" in self.outcomes else None,
        )

    def _least_ece(self, samples: int = 200) -> Spread:
        """Labels are drawn from the probabilities. ECE is never 0 on a sample (Kumar et al.
        2019)."""
        rng = np.random.default_rng(0)
        probabilities = self.outcomes["covla"][0].probabilities()
        edges = probabilities.cumsum(1)
        draws = rng.random((samples, len(probabilities), 1))
        return spread([ece(probabilities, (edges > draw).argmax(1)) for draw in draws])

    def _confusion(self, name: str) -> list[list[float]]:
        table = np.zeros((len(self.labels),) * 2)
        for y_pred in self._y_pred(name, None):
            np.add.at(table, (self.y_true, y_pred), 1)
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        rows: list[list[float]] = shares.tolist()
        return rows

    def _reliability(self, name: str) -> list[CalibrationBin]:
        runs = self.outcomes[name]
        probabilities = np.concatenate([run.probabilities() for run in runs])
        return calibration_bins(probabilities, np.tile(self.y_true, len(runs)))
