"""What a study finds, as results.json, details.json and cost.json hold it."""

from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from covla.errors import CovlaError
from covla.evaluation.study.statistics import Difference, Spread
from covla.files import read_json
from covla.metrics import CalibrationBin

T = TypeVar("T")


@dataclass(frozen=True)
class Comparison:
    """Against the row of that name."""

    row: str
    accuracy: Difference
    macro_f1: Difference


@dataclass(frozen=True)
class UnderNoise:
    """Mean over the kinds of noise at the level that tables show; an ablation against CoVLA."""

    accuracy: Spread
    against_covla: Difference | None = None


@dataclass(frozen=True)
class Drop:
    """What noise costs on average over seeds, in shares of 1."""

    accuracy: float
    macro_f1: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant on the posts as they are."""

    name: str
    kind: str
    seeds: int
    accuracy: Spread
    macro_f1: Spread
    weighted_f1: Spread
    ece: Spread
    per_pair_type: dict[str, Spread]
    gate: Spread | None
    labels: float  # share of the training labels
    parameters: int
    cpu_seconds: float
    against_strongest: Comparison | None
    under_noise: UnderNoise | None = None
    against_covla: Comparison | None = None
    against_tiny: Comparison | None = None

    @property
    def base(self) -> str:
        """The name without the label budget."""
        return self.name.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class NoisyRow:
    """The variant `of` on corrupted posts."""

    name: str
    kind: str = "noise"
    of: str
    noise: str
    level: float
    seeds: int
    accuracy: Spread
    macro_f1: Spread
    drop: Drop
    against_strongest: Comparison | None
    gate: Spread | None
    drop_strongest: Drop | None = None


@dataclass(frozen=True)
class Results:
    """Every row, in the order of the tables, then every row under every noise."""

    rows: list[Row]
    noisy: list[NoisyRow]

    def of_kind(self, *kinds: str) -> list[Row]:
        """The rows of these kinds, in order."""
        return [row for row in self.rows if row.kind in kinds]

    def named(self, name: str) -> Row | None:
        """The row of this name."""
        return next((row for row in self.rows if row.name == name), None)

    @property
    def strongest(self) -> str | None:
        """The plain baseline with the best mean accuracy."""
        plain = self.of_kind("baseline")
        return max(plain, key=lambda row: row.accuracy.mean).name if plain else None

    def as_json(self) -> str:
        """A line per row: what changed between two studies can be read off a diff."""
        every: list[Row | NoisyRow] = [*self.rows, *self.noisy]
        rows = (asdict(row, dict_factory=_without_absent) for row in every)
        lines = ",\n".join(orjson.dumps(row).decode() for row in rows)
        return f"[\n{lines}\n]\n"


def _without_absent(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # What a kind of row cannot have is left out; null is what this one does not have.
    return {k: v for k, v in pairs if v is not None or k in {"gate", "against_strongest"}}


def read_results(folder: Path) -> Results:
    """The rows of a result folder, of earlier versions too.

    Raises:
        CovlaError: there are none, or they cannot be read.
    """
    path = folder / "results.json"
    try:
        values = parse_list(dict[str, Any], read_json(path), path)
    except CovlaError as error:
        raise CovlaError(
            f"{folder} is no result folder of a study: {error}", hint="Make one: covla study"
        ) from None
    rows = [value for value in values if value.get("kind") != "noise"]
    noisy = [value for value in values if value.get("kind") == "noise"]
    return Results(parse_list(Row, rows, path), parse_list(NoisyRow, noisy, path))


def parse_list(kind: type[T], values: Any, path: Path) -> list[T]:
    """Dataclasses of a JSON value of `path`; what they do not know is left.

    Raises:
        CovlaError: it is no list of them.
    """
    try:
        return TypeAdapter(list[kind]).validate_python(values)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise CovlaError(f"cannot read {path}: {first['loc']}: {first['msg']}") from None


@dataclass(frozen=True)
class Cost:
    """What one architecture costs; see `covla.evaluation.study.cost.costs`."""

    row: str
    head_parameters: int
    tower_parameters: int
    gflops: float
    head_milliseconds: float
    posts_per_second: float


@dataclass(frozen=True)
class Details:
    """For the images, by row: CoVLA and the strongest baseline.

    confusion: share of each true label's posts (row) that got each predicted one (column), over
    seeds. reliability: of the predictions of all seeds. least_ece: what CoVLA would show on as few
    posts if its probabilities were exactly right.
    """

    strongest: str | None
    labels: list[str]
    confusion: dict[str, list[list[float]]]
    reliability: dict[str, list[CalibrationBin]]
    least_ece: Spread | None


def rounded(value: Any) -> Any:
    """Floats to five digits, in dataclasses, dicts and lists: no figure here is more certain."""
    if isinstance(value, float):
        return round(value, 5)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {each.name: rounded(getattr(value, each.name)) for each in fields(value)}
        return replace(value, **changed)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value
