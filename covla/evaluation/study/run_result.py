"""What one row with one seed gave: logits and gates on the evaluated posts, clean and noisy."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.special import softmax

from covla.arrays import Array
from covla.files import write_aside


@dataclass
class RunResult:
    """n evaluated posts, C labels, K conditions.

    logits: n x C, to be divided by `temperature`. gate: n, share of the text; NaN where a row has
    none. noisy_logits, noisy_gate: K x n x C and K x n; K = 0 for rows without noise.
    cpu_seconds: of fitting and evaluation, on one core.
    """

    logits: Array
    gate: Array
    temperature: float
    parameters: int
    cpu_seconds: float
    conditions: list[str] = field(default_factory=list)
    noisy_logits: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    noisy_gate: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def probabilities(self) -> Array:
        """n x C, calibrated."""
        shares: Array = softmax(self.logits.astype(np.float64) / self.temperature, axis=1)
        return shares

    def save(self, path: Path) -> None:
        """Written aside and renamed: a file that is there is whole."""
        conditions = np.array(self.conditions, dtype=str)
        with write_aside(path, ".npz") as draft:
            np.savez(draft, **{**self.__dict__, "conditions": conditions})

    @classmethod
    def load(cls, path: Path) -> "RunResult":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            values = dict(stored)
        return cls(
            values["logits"], values["gate"], float(values["temperature"]),
            int(values["parameters"]), float(values["cpu_seconds"]),
            values["conditions"].tolist(), values["noisy_logits"], values["noisy_gate"],
        )  # fmt: skip
