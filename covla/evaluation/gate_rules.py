"""The numbers of the promotion gate, and the form of its checks. ADR 23 says why they are these."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Limits of the gate. Shares are of posts; margins are differences of a score."""

    posts: int = 1000  # at most: more posts let more of the good candidates in
    fewest: int = 30
    # Paired differences: one rule, with a margin for each question.
    confidence: float = 0.95
    resamples: int = 4000
    clean: float = 0.02  # the challenger must be shown to be less worse than this
    # It must not be shown to be worse than the first, and on these posts never than the second.
    noise: tuple[float, float] = (0.0, 0.05)
    label: tuple[float, float] = (0.02, 0.20)
    calibration: tuple[float, float] = (0.02, 0.10)
    label_posts: int = 10  # a label with fewer holdout posts has no check: too few to tell
    # Floors of a model alone.
    label_recall: float = 0.05
    over_majority: float = 0.05
    ece: float = 0.15
    latency_ms: float = 500.0
    # Limits on what is measured and not estimated.
    latency: float = 2.0  # times the champion's
    size: float = 3.0  # times the champion's
    size_bytes: int = 256 * 2**20  # a model folder below this is never too large


@dataclass(frozen=True)
class Check:
    """One question of the gate.

    `gain` is how much better the challenger is than the champion, and `bound` its one-sided
    confidence bound, which `limit` is for. Without them `limit` is for `challenger` itself.
    """

    name: str
    passed: bool
    challenger: float
    champion: float | None
    limit: float
    reason: str
    gain: float | None = None
    bound: float | None = None
