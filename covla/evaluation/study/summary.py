"""Outcomes to rows: mean and spread over seeds, and differences with their intervals."""

from dataclasses import asdict
from typing import Any

import numpy as np

from covla.arrays import Array
from covla.evaluation.study.run_result import RunResult
from covla.evaluation.study.statistics import Bootstrap, difference, spread
from covla.evaluation.study.variants import Variant
from covla.metrics import calibration_bins, ece, scores

Record = dict[str, Any]
METRICS = ("accuracy", "macro_f1", "weighted_f1", "ece")
SHOWN_LEVEL = 0.3  # of noise, in tables


class Summary:
    """Rows of results.json, in the order of the tables.

    Args:
        outcomes: by row name, one per seed.
        truth: n label indices of the judged posts.
        pair_types: n, None where a post has none.
    """

    def __init__(
        self,
        rows: list[Variant],
        outcomes: dict[str, list[RunResult]],
        truth: Array,
        pair_types: list[str | None],
        labels: list[str],
    ) -> None:
        self.rows, self.outcomes, self.truth = rows, outcomes, truth
        self.pair_types, self.labels = pair_types, labels
        self.bootstrap = Bootstrap(truth, len(labels))
        self._drawn: dict[str, dict[str, Array]] = {}
        means = {
            row.name: float(self._resampled(row.name)["accuracy"][0])
            for row in rows
            if row.kind == "baseline"
        }
        self.strongest = max(means, key=lambda name: means[name]) if means else None

    def records(self) -> list[Record]:
        """Every row with its comparison, then every row under every noise."""
        found = [self._record(row) for row in self.rows]
        return [*found, *(record for row in self.rows for record in self._noisy(row))]

    def _answers(self, name: str, condition: int | None) -> Array:
        runs = self.outcomes[name]
        rows = [r.said if condition is None else r.noisy_logits[condition].argmax(1) for r in runs]
        return np.stack(rows)

    def _resampled(self, name: str, condition: int | None = None) -> dict[str, Array]:
        key = f"{name}\0{condition}"
        if key not in self._drawn:
            said = self._answers(name, condition)
            self._drawn[key] = {
                "accuracy": self.bootstrap.accuracy(said),
                "macro_f1": self.bootstrap.macro_f1(said),
            }
        return self._drawn[key]

    def _against(self, name: str, other: str | None, condition: int | None = None) -> Any:
        if other is None or other == name:
            return None
        ours, theirs = self._resampled(name, condition), self._resampled(other, condition)
        return {"row": other} | {key: difference(ours[key], theirs[key]) for key in ours}

    def _record(self, row: Variant) -> Record:
        runs = self.outcomes[row.name]
        each = [
            asdict(scores(run.probabilities(), self.truth, self.labels, self.pair_types))
            for run in runs
        ]
        gates = [float(run.gate.mean()) for run in runs if not np.isnan(run.gate).any()]
        rival = self._strongest_at(row) if row.kind == "budget" else self.strongest
        record: Record = {
            "name": row.name,
            "kind": row.kind,
            "seeds": len(runs),
            **{metric: spread([one[metric] for one in each]) for metric in METRICS},
            "per_pair_type": {
                kind: spread([one["per_pair_type"][kind]["accuracy"] for one in each])
                for kind in each[0]["per_pair_type"]
            },
            "gate": spread(gates) if gates else None,
            "labels": row.share,
            "parameters": runs[0].parameters,
            "cpu_seconds": float(np.mean([run.cpu_seconds for run in runs])),
            "against_strongest": self._against(row.name, rival),
        }
        if row.noisy and runs[0].conditions:
            record["under_noise"] = self._under_noise(row)
        if row.kind == "ablation" and "covla" in self.outcomes:
            record["against_covla"] = self._against(row.name, "covla")
        if row.kind == "tiny" and row.teacher and "tiny" in self.outcomes:
            record["against_tiny"] = self._against(row.name, "tiny")
        return record

    def _strongest_at(self, row: Variant) -> str | None:
        """The best plain baseline with as few labels; zero-shot needs none."""
        baselines = {r.name for r in self.rows if r.kind == "baseline"}
        rivals = [
            r.name
            for r in self.rows
            if (r.kind == "budget" and r.share == row.share and r.base in baselines)
            or r.name == "zero-shot"
        ]
        by_accuracy = {name: float(self._resampled(name)["accuracy"][0]) for name in rivals}
        return max(by_accuracy, key=lambda name: by_accuracy[name]) if rivals else None

    def _noisy(self, row: Variant) -> list[Record]:
        runs = self.outcomes[row.name]
        records = []
        for k, condition in enumerate(runs[0].conditions):
            noise, _, level = condition.partition(" ")
            drop = self._drop(row.name, k)
            record: Record = {
                "name": f"{row.name} {condition}",
                "kind": "noise",
                "of": row.name,
                "noise": noise,
                "level": float(level.rstrip("%")) / 100,
                "seeds": len(runs),
                **self._spreads(row.name, k),
                "drop": drop,
                "against_strongest": self._against(row.name, self.strongest, k),
            }
            gates = [float(run.noisy_gate[k].mean()) for run in runs]
            record["gate"] = None if np.isnan(gates).any() else spread(gates)
            if self.strongest not in {None, row.name}:
                lost = self._drop(str(self.strongest), k)
                record["drop_strongest"] = lost
            records.append(record)
        return records

    def _under_noise(self, row: Variant) -> Record:
        """Mean accuracy over the kinds of noise at `SHOWN_LEVEL`; an ablation against CoVLA."""
        level = f" {SHOWN_LEVEL:.0%}"
        conditions = self.outcomes[row.name][0].conditions
        chosen = [k for k, name in enumerate(conditions) if name.endswith(level)]

        def mean(name: str) -> Array:
            each = [self._resampled(name, k)["accuracy"] for k in chosen]
            total: Array = np.mean(each, axis=0)
            return total

        said = [(self._answers(row.name, k) == self.truth).mean(1) for k in chosen]
        found: Record = {"accuracy": spread(np.mean(said, axis=0).tolist())}
        if row.kind == "ablation" and "covla" in self.outcomes:
            found["against_covla"] = difference(mean(row.name), mean("covla"))
        return found

    def _drop(self, name: str, condition: int) -> dict[str, float]:
        """What noise costs on average over seeds, in shares of 1."""
        clean, noisy = self._resampled(name), self._resampled(name, condition)
        return {metric: float(clean[metric][0] - noisy[metric][0]) for metric in clean}

    def _spreads(self, name: str, condition: int) -> dict[str, Any]:
        said = self._answers(name, condition)
        each = [
            asdict(scores(np.eye(len(self.labels))[row], self.truth, self.labels)) for row in said
        ]
        return {m: spread([one[m] for one in each]) for m in ("accuracy", "macro_f1")}

    def details(self) -> dict[str, Any]:
        """For the images: confusion and reliability of CoVLA and of the strongest baseline."""
        shown = [name for name in ("covla", self.strongest) if name in self.outcomes]
        return {
            "strongest": self.strongest,
            "labels": self.labels,
            "confusion": {str(name): self._confusion(str(name)) for name in shown},
            "reliability": {str(name): self._reliability(str(name)) for name in shown},
            "least_ece": self._least_ece() if "covla" in self.outcomes else None,
        }

    def _least_ece(self, samples: int = 200) -> dict[str, float]:
        """ECE that CoVLA would show on as few posts if its probabilities were exactly right: labels
        are drawn from them. ECE is never 0 on a sample (Kumar et al. 2019)."""
        rng = np.random.default_rng(0)
        said = self.outcomes["covla"][0].probabilities()
        edges = said.cumsum(1)
        draws = rng.random((samples, len(said), 1))
        return spread([ece(said, (edges > draw).argmax(1)) for draw in draws])

    def _confusion(self, name: str) -> list[list[float]]:
        """Share of each true label's posts (row) that got each answer (column), over seeds."""
        table = np.zeros((len(self.labels),) * 2)
        for said in self._answers(name, None):
            np.add.at(table, (self.truth, said), 1)
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        rows: list[list[float]] = shares.tolist()
        return rows

    def _reliability(self, name: str) -> list[dict[str, float]]:
        """Confidence, accuracy and share of the predictions of all seeds, per bin that has some."""
        runs = self.outcomes[name]
        probabilities = np.concatenate([run.probabilities() for run in runs])
        return [
            asdict(one) for one in calibration_bins(probabilities, np.tile(self.truth, len(runs)))
        ]
