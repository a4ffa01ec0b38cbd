"""Filled sheets -> agreement between people, with the gold labels, and with a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from sklearn.metrics import cohen_kappa_score

from covla.errors import CovlaError
from covla.evaluation.rating import agreement
from covla.evaluation.rating.answers import Key, read_key, read_sheets
from covla.evaluation.rating.sheet import CANNOT_TELL
from covla.files import read_bytes

PREDICTIONS_LIMIT = 2**30  # bytes

Predictions = dict[str, dict[str, str]]  # model version -> item -> label


@dataclass(frozen=True)
class RaterScore:
    """Of one rater, against the gold labels."""

    accuracy: float | None
    cannot_tell: int


@dataclass(frozen=True)
class Majority:
    """How many posts have a label of the majority, how many have none, and its accuracy."""

    posts: int
    without: int
    accuracy: float | None


@dataclass(frozen=True)
class ModelScore:
    """Of one model version, against the gold labels and beside people."""

    accuracy: float | None
    accuracy_where_raters_have_a_majority: float | None
    agreement_with_majority: float | None
    kappa_with_majority: float | None
    agreement_with_raters: float | None


@dataclass(frozen=True)
class RatingScore:
    """What the filled sheets amount to. None: not defined for these answers.

    "Cannot tell" is no label: it is missing in alpha and has no vote. `alpha_with_cannot_tell`
    counts it as a label of its own.
    """

    sheet: str
    posts: int
    raters: dict[str, RaterScore]
    alpha: float | None
    alpha_interval: tuple[float, float] | None
    alpha_with_cannot_tell: float | None
    agreement_between_raters: float | None
    majority: Majority
    per_label: dict[str, agreement.LabelAgreement]
    models: dict[str, ModelScore]


def score(sheets: Sequence[Path], key_path: Path, predictions: Sequence[Path]) -> RatingScore:
    """Read the filled sheets, their key and the output of `covla predict`, and compare them.

    Raises:
        CovlaError: a sheet, the key or a file of predictions cannot be used; it says where.
    """
    key = read_key(key_path)
    raters = read_sheets(sheets, key)
    models = read_predictions(predictions, key)
    items = list(key.posts)
    answers = [rater.labels for rater in raters]
    data = agreement.matrix(answers, items, key.labels)
    filled = [{i: label or CANNOT_TELL for i, label in one.items()} for one in answers]
    with_cannot_tell = agreement.matrix(filled, items, [*key.labels, CANNOT_TELL])
    voted = agreement.majority(answers, items)
    accuracy = agreement.share_equal(voted, key.gold)
    return RatingScore(
        sheet=key.sheet,
        posts=len(items),
        raters={
            rater.rater: RaterScore(
                agreement.share_equal(rater.labels, key.gold), [*rater.labels.values()].count(None)
            )
            for rater in raters
        },
        alpha=agreement.alpha(data),
        alpha_interval=agreement.alpha_interval(data),
        alpha_with_cannot_tell=agreement.alpha(with_cannot_tell),
        agreement_between_raters=agreement.mean_between(answers),
        majority=Majority(len(voted), len(items) - len(voted), accuracy),
        per_label=agreement.per_label(data, key.labels),
        models={version: _model(labels, answers, voted, key) for version, labels in models.items()},
    )


def _model(
    predicted: dict[str, str],
    answers: Sequence[agreement.Labels],
    voted: dict[str, str],
    key: Key,
) -> ModelScore:
    both = ([voted[item] for item in voted], [predicted[item] for item in voted])
    kappa = float(cohen_kappa_score(*both)) if len(set(both[0]) | set(both[1])) > 1 else None
    beside = {item: predicted[item] for item in voted}
    return ModelScore(
        agreement.share_equal(predicted, key.gold),
        agreement.share_equal(beside, key.gold),
        agreement.share_equal(beside, voted),
        kappa,
        agreement.mean([agreement.share_equal(predicted, one) for one in answers]),
    )


def read_predictions(paths: Sequence[Path], key: Key) -> Predictions:
    """Output of `covla predict`, by model version: a label for each item of the key.

    Raises:
        CovlaError: a line that is no prediction, a label the raters did not have, or a version
            that does not answer every post of the key.
    """
    items = {post_id: item for item, post_id in key.posts.items()}
    found: Predictions = {}
    for path in paths:
        try:
            lines = read_bytes(path, PREDICTIONS_LIMIT).splitlines()
        except CovlaError as error:
            raise CovlaError(f"--model-predictions: {error}") from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = orjson.loads(line)
                if not isinstance(record, dict):
                    raise TypeError("no object")
                if "error" in record or "predicted" in record:
                    continue  # a post that was refused; the last line of --json
                version, label = str(record["model_version"]), str(record["label"])
                item = items.get(record["post_id"])
            except (ValueError, TypeError, KeyError) as error:
                raise CovlaError(
                    f"{path}, line {number}: no prediction ({error!r})",
                    hint="Give the output of `covla predict`",
                ) from None
            if item is None:
                continue
            if label not in key.labels:
                raise CovlaError(f"{path}, line {number}: {label!r} was no choice of the raters")
            found.setdefault(version, {})[item] = label
        if not found:
            raise CovlaError(f"{path}: not one prediction for a post of the key")
    for version, labels in found.items():
        missing = [post_id for post_id, item in items.items() if item not in labels]
        if missing:
            raise CovlaError(
                f"--model-predictions: version {version} has no answer for post {missing[0]}, "
                f"{len(missing)} in all",
                hint="Predict the whole split that the sheet was drawn from",
            )
    return found
