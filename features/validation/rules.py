"""The file of expectations: how severe each one is, and its limit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from covla.errors import CovlaError
from covla.files import read_yaml
from covla.settings import Settings

DEFAULT = Path(__file__).with_name("expectations.yaml")
Severity = Literal["block", "quarantine", "warn"]

SHARE, FACTOR, DIVERGENCE = (0.0, 1.0), (1.0, 1e6), (0.0, 100.0)  # lowest and highest limit
# Of the time range as a whole: there are no posts to put aside.
OF_THE_WHOLE = {
    "volume": FACTOR,
    "dead_letters": SHARE,
    "text_missing": SHARE,
    "image_missing": SHARE,
    "label_balance": DIVERGENCE,
    "language_mix": DIVERGENCE,
}
RANGES = {  # expectation -> the column of the reference whose range is meant
    "text_length": "text_characters",
    "image_brightness": "image_brightness",
    "image_contrast": "image_contrast",
    "image_blur": "image_blur",
    "image_noise": "image_noise",
    "image_entropy": "image_entropy",
}
COPIES = ("duplicates", "near_duplicate_images")
CORRUPTION = ("embedding_width", "embedding_finite", "one_encoder", "label_known")
NAMES = (*OF_THE_WHOLE, *RANGES, *COPIES, *CORRUPTION)


class Rule(BaseModel):
    """One expectation of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity
    limit: float = Field(ge=0, allow_inf_nan=False)
    block_above: float | None = Field(None, ge=0, le=1)

    def severities(self, name: str) -> tuple[Severity, ...]:
        """Those that the expectation of this name can have."""
        return ("block", "warn") if name in OF_THE_WHOLE else ("block", "quarantine", "warn")


def load_rules(settings: Settings) -> dict[str, Rule]:
    """Every expectation by name: the file of `COVLA_EXPECTATIONS` over the default one.

    Raises:
        CovlaError: the file is not there or cannot be used; it names the expectation.
    """
    rows = dict(read_yaml(DEFAULT))
    own = settings.expectations
    if own is not None:
        path = own.expanduser()
        for name, row in _mapping(read_yaml(path), path).items():
            if name not in rows:
                raise _wrong(path, f"{name!r} is no expectation; there are: {', '.join(NAMES)}")
            if not isinstance(row, Mapping):
                raise _wrong(path, f"{name}: {row!r} is no severity and limit")
            default = rows[name]
            if row.get("severity", "quarantine") != "quarantine":
                default = {key: value for key, value in default.items() if key != "block_above"}
            rows[name] = default | row
    return {name: _rule(name, row, own or DEFAULT) for name, row in rows.items()}


def _mapping(rows: Any, path: Path) -> Mapping[Any, Any]:
    if rows is None:
        return {}
    if not isinstance(rows, Mapping):
        raise _wrong(path, "it is no mapping of expectations")
    return rows


def _rule(name: str, row: Mapping[str, Any], path: Path) -> Rule:
    try:
        rule = Rule.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise _wrong(path, f"{name}: {field}: {first['msg']}, not {first['input']!r}") from None
    low, high = OF_THE_WHOLE.get(name, SHARE)
    if not low <= rule.limit <= high:
        raise _wrong(path, f"{name}: limit: {rule.limit:g} is not between {low:g} and {high:g}")
    if rule.severity not in rule.severities(name):
        raise _wrong(path, f"{name}: severity: it names no posts to quarantine; block or warn")
    if rule.block_above is not None and rule.severity != "quarantine":
        raise _wrong(path, f"{name}: block_above: it goes with the severity quarantine alone")
    return rule


def _wrong(path: Path, what: str) -> CovlaError:
    return CovlaError(
        f"cannot use the expectations {path}: {what}",
        hint="Correct the file that COVLA_EXPECTATIONS names",
    )
