"""One look of the guard at the champion: it stays, or the version that it replaced serves again."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import orjson
import pandas as pd

from covla.errors import Refused, TooFew
from covla.files import write_bytes_aside
from covla.html import render
from covla.inference.predictor import Predictor
from covla.posts.training_post import TrainingPost
from covla.registry.reference import read_reference
from covla.registry.registry import Registry
from covla.registry.releases import Release
from covla.schemas.alert import EXAMPLES, Example
from covla.settings import Settings
from covla.time_range import TimeRange
from covla.times import now
from features.source import posts_by_id
from monitoring.alerts import close_alert, open_alert
from monitoring.alerts.store import kept_alerts
from monitoring.examples import excerpt
from monitoring.guard.comparison import Comparison, compare
from monitoring.guard.signals import ALPHA, Signal, signals
from monitoring.live_posts import live_posts

Status = Literal["idle", "waiting", "held", "rolled back"]


@dataclass(frozen=True)
class GuardResult:
    """What the guard found and did; `why` says it in a line."""

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


def guard(settings: Settings, *, at: datetime | None = None, dry_run: bool = False) -> GuardResult:
    """Hold the champion against the version that it replaced, on posts that it predicted live.

    It looks for `guard_hours` after a promotion, once there are `guard_min_posts`, at up to
    `guard_posts` of them, those with labels and new ones first. A breach opens an alert, marks the
    version rejected and lets the previous one serve again.

    Args:
        settings: the registry, the lake, limits.
        at: the time that it stands for; default now.
        dry_run: find, and change nothing.

    Raises:
        ServiceUnavailable: the registry does not answer, or this machine fails.
    """
    at, registry = at or now(), Registry(settings)
    champion = next((one for one in registry.releases() if "champion" in one.aliases), None)
    if not dry_run and champion is not None:
        _close_others(champion.version, at, settings)
    why = _not_guarded(champion, registry.aliases().get("previous"), at, settings)
    if champion is None or why is not None:
        return GuardResult("idle", why or "no version serves", at)
    result = GuardResult("waiting", "", at, champion.version, champion.replaced)
    window = TimeRange(_promoted_at(champion), at)
    rows = _predicted(champion.version, window, settings, at)
    if len(rows) < settings.guard_min_posts:
        why = f"{len(rows)} posts predicted, at least {settings.guard_min_posts} are needed"
        return replace(result, why=why)
    posts = _sample(rows, settings, at)
    if len(posts) < settings.guard_min_posts:
        return replace(result, why=f"{len(posts)} of {len(rows)} predicted posts are in the lake")
    pair = _compare(champion, posts, settings)
    found = signals(pair, _training_labels(champion.version, settings))
    reasons = [f"{one.name}: {one.reason}" for one in found if one.breach]
    result = replace(
        result,
        status="rolled back" if reasons else "held",
        why="; ".join(reasons) or f"{len(posts)} posts, none of {len(found)} signals is worse",
        window=str(window),
        posts=len(posts),
        labelled=sum(label is not None for label in pair.y_true),
        signals=tuple(found),
    )
    result = _write(result, settings)
    if reasons and not dry_run:
        result = _take_back(result, window, _examples(pair, posts), registry, settings)
    return result


def _not_guarded(
    champion: Release | None, previous: str | None, at: datetime, settings: Settings
) -> str | None:
    """Why there is nothing to guard, or None."""
    if champion is None:
        return "no version serves"
    if champion.promoted_at is None or champion.replaced is None:
        return f"version {champion.version} replaced no other one"
    if previous != champion.replaced:
        return f"version {champion.version} serves after a rollback"
    if at <= _promoted_at(champion):
        return f"version {champion.version} was promoted after {at.isoformat()}"
    if at > _promoted_at(champion) + timedelta(hours=settings.guard_hours):
        return f"version {champion.version} held for {settings.guard_hours:g} hours"
    return None


def _promoted_at(release: Release) -> datetime:
    return datetime.fromisoformat(release.promoted_at or "")


def _predicted(version: str, window: TimeRange, settings: Settings, at: datetime) -> pd.DataFrame:
    try:
        rows = live_posts(window, settings, at)
    except TooFew:
        return pd.DataFrame()
    return rows[rows["model_version"] == version]


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


def _compare(champion: Release, posts: list[TrainingPost], settings: Settings) -> Comparison:
    priors = {post.post_id: post.priors for post in posts}
    models = [
        Predictor.load(version, settings, lambda items: [priors[one.post.post_id] for one in items])
        for version in (champion.version, str(champion.replaced))
    ]
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


def _take_back(
    result: GuardResult,
    window: TimeRange,
    examples: list[Example],
    registry: Registry,
    settings: Settings,
) -> GuardResult:
    assert result.version is not None
    # The alert first: a process that ends in between finds the breach again, and opens no second.
    open_alert(
        settings,
        kind="release",
        subject=result.version,
        summary=f"version {result.version} is taken back for {result.previous}: {result.why}",
        at=result.at,
        confidence=f"by chance alone in one look of {1 / ALPHA:.0f}",
        window=window,
        reference=result.previous,
        examples=examples,
        report=result.report,
    )
    try:
        registry.rollback(bad=result.version, reason=result.why)
    except Refused as error:
        return replace(result, status="idle", why=str(error))  # somebody else was faster
    return result


def _close_others(champion: str, at: datetime, settings: Settings) -> None:
    """A version that was taken back and does not serve any more needs nobody."""
    for kept in kept_alerts(settings):
        alert = kept.opened
        if alert.kind == "release" and kept.closed is None and alert.subject != champion:
            close_alert(
                settings,
                kind="release",
                subject=alert.subject,
                at=at,
                summary=f"version {champion} serves",
            )


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
