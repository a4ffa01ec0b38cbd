"""One look at two versions on live posts: what the guard finds, and the page that shows it."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal

import orjson
import pandas as pd

from covla.errors import TooFew
from covla.files import write_bytes_aside
from covla.html import render
from covla.inference.known_context import known_context
from covla.inference.predictor import Predictor
from covla.posts.training_post import TrainingPost
from covla.registry.reference import read_reference
from covla.registry.registry import Registry
from covla.schemas.alert import EXAMPLES, Example
from covla.settings import Settings
from covla.time_range import TimeRange
from features.source import posts_by_id
from monitoring.alerts import open_alert
from monitoring.examples import excerpt
from monitoring.guard.comparison import Comparison, compare
from monitoring.guard.signals import ALPHA, Signal, signals
from monitoring.live_posts import live_posts

Status = Literal["idle", "waiting", "held", "rolled back", "taken off"]


@dataclass(frozen=True)
class GuardResult:
    """What the guard found and did; `why` says it in a line.

    `previous` is what `version` was compared with. `canary` and `shadow` are the same of these,
    None where there is none.
    """

    status: Status
    why: str
    at: datetime
    version: str | None = None
    previous: str | None = None
    window: str | None = None  # the predictions it looked at
    posts: int = 0
    labelled: int = 0
    signals: tuple[Signal, ...] = ()
    report: str | None = None
    canary: "GuardResult | None" = None
    shadow: "GuardResult | None" = None


@dataclass(frozen=True)
class Look:
    """What was found; `worse` where it is a breach, with posts that show it."""

    result: GuardResult
    worse: bool = False
    examples: tuple[Example, ...] = ()

    def alert(self, summary: str, settings: Settings) -> None:
        """Open the alert of a breach."""
        result = self.result
        open_alert(
            settings,
            kind="release",
            subject=str(result.version),
            summary=summary,
            at=result.at,
            confidence=f"by chance alone in one look of {1 / ALPHA:.0f}"
            if result.signals
            else None,
            window=result.window,
            reference=result.previous,
            examples=self.examples,
            report=result.report,
        )


def predicted(
    versions: tuple[str, ...], window: TimeRange, settings: Settings, at: datetime
) -> pd.DataFrame:
    """The live posts, as `live_posts` has them, that one of the versions predicted; a row a post.
    Empty where there are none."""
    try:
        rows = live_posts(window, settings, at)
    except TooFew:
        return pd.DataFrame()
    return rows[rows["model_version"].isin(versions)].drop_duplicates("post_id")


def look(
    version: str,
    previous: str,
    rows: pd.DataFrame,
    window: TimeRange,
    settings: Settings,
    *,
    at: datetime,
    breach: Status,
) -> Look:
    """Predict up to `guard_posts` of the posts with both versions, and hold the one against the
    other.

    Args:
        version: which may be worse.
        previous: than this one.
        rows: as `predicted` gives them.
        window: of the predictions.
        settings: the lake, the registry, limits.
        at: the time that it stands for.
        breach: the status when `version` is worse.

    Raises:
        ServiceUnavailable: the registry does not answer, or this machine fails.
    """
    result = GuardResult("waiting", "", at, version, previous)
    if len(rows) < settings.guard_min_posts:
        why = f"{len(rows)} posts predicted, at least {settings.guard_min_posts} are needed"
        return Look(replace(result, why=why))
    posts = _sample(rows, settings, at)
    if len(posts) < settings.guard_min_posts:
        why = f"{len(posts)} of {len(rows)} predicted posts are in the lake"
        return Look(replace(result, why=why))
    pair = _compare((version, previous), posts, settings)
    found = signals(pair, _training_labels(version, settings))
    reasons = [f"{one.name}: {one.reason}" for one in found if one.breach]
    result = replace(
        result,
        status=breach if reasons else "held",
        why="; ".join(reasons) or f"{len(posts)} posts, none of {len(found)} signals is worse",
        window=str(window),
        posts=len(posts),
        labelled=sum(label is not None for label in pair.y_true),
        signals=tuple(found),
    )
    return Look(_write(result, settings), bool(reasons), tuple(_examples(pair, posts)))


def _sample(rows: pd.DataFrame, settings: Settings, at: datetime) -> list[TrainingPost]:
    chosen = rows.assign(unlabelled=rows["y_true"].isna()).sort_values(
        ["unlabelled", "event_timestamp", "post_id"], ascending=[True, False, True]
    )
    labels = rows.set_index("post_id")["y_true"]
    found = posts_by_id(chosen["post_id"].head(settings.guard_posts).tolist(), settings, at)
    return [
        replace(post, label=None if pd.isna(label := labels[post.post_id]) else str(label))
        for post in found
    ]


def _compare(
    versions: tuple[str, str], posts: list[TrainingPost], settings: Settings
) -> Comparison:
    context = known_context(posts)
    models = [Predictor.load(version, settings, context) for version in versions]
    for model in models:
        model.warm_up()
    return compare(models[0], models[1], posts)


def _training_labels(version: str, settings: Settings) -> dict[str, float]:
    _, folder = Registry(settings).resolve(version)
    labels = read_reference(folder)["label"].dropna()
    return {str(name): float(share) for name, share in labels.value_counts(normalize=True).items()}


def _examples(pair: Comparison, posts: list[TrainingPost]) -> list[Example]:
    """Posts that the new version predicts otherwise, those that it has wrong first."""
    rows = zip(posts, pair.y_true, pair.new.y_pred, pair.previous.y_pred, strict=True)
    other = [(label not in (None, new), post) for post, label, new, old in rows if new != old]
    other.sort(key=lambda one: not one[0])
    return [
        Example(post_id=post.post_id, text=excerpt(post.post.text)) for _, post in other[:EXAMPLES]
    ]


def _write(result: GuardResult, settings: Settings) -> GuardResult:
    """`<reports>/guard/<version>-against-<previous>-<time>.html` and the same as JSON."""
    name = f"{result.version}-against-{result.previous}-{result.at:%Y%m%dT%H%M%S}.html"
    path = settings.reports / "guard" / name
    result = replace(result, report=str(path))
    document = asdict(result)
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    write_bytes_aside(path.with_suffix(".json"), content)
    write_bytes_aside(path, render("monitoring", "guard.html.j2", **document).encode())
    return result
