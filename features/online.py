"""What serving reads of the online store: hashtag priors that are fresh."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.preprocessing import PreparedPost
from covla.settings import Settings
from features.definitions import HASHTAG, hashtag_window
from features.feature_store import feature_store
from features.online_store import UNREACHABLE

FeatureValue = str | float | list[str] | None  # of the views that are online


class OnlineContext:
    """Reads through one long-lived FeatureStore (feast#3442); safe to call from several threads.

    What `Predictor.load(..., context=OnlineContext(settings).priors)` takes.
    """

    def __init__(self, settings: Settings) -> None:
        self.store = feature_store(settings)
        self.oldest = hashtag_window(settings)
        self._lock = threading.Lock()  # Feast's stores keep one connection without guarding it

    def priors(self, items: Sequence[PreparedPost]) -> list[Mapping[str, HashtagPrior] | None]:
        """What is known of each post's hashtags, in order; None where the context is stale.

        Feast does not hold reads against the TTL (feast#3596), so the age is checked here, at
        the post's own time. An online store that does not answer makes the context of posts with
        hashtags stale and fails none of them.
        """
        tags = sorted({tag for item in items for tag in item.hashtags})
        if not tags:
            return [{} for _ in items]
        try:
            with self._lock:
                rows = self._read(tags)
        except UNREACHABLE:
            return [None if item.hashtags else {} for item in items]
        return [self._of(item, rows) for item in items]

    def _read(self, tags: list[str]) -> dict[str, tuple[datetime, HashtagPrior]]:
        response = self.store.get_online_features(
            features=[f"hashtag:{name}" for name in HASHTAG],
            entity_rows=[{"hashtag": tag} for tag in tags],
        )
        values = response.to_dict(include_event_timestamps=True)
        return {
            tag: (
                datetime.fromtimestamp(values["posts__ts"][i], UTC),
                HashtagPrior(values["prior"][i], float(values["posts"][i])),
            )
            for i, tag in enumerate(values["hashtag"])
            if values["posts"][i] is not None
        }

    def _of(
        self, item: PreparedPost, rows: dict[str, tuple[datetime, HashtagPrior]]
    ) -> Mapping[str, HashtagPrior] | None:
        own = {tag: rows[tag] for tag in item.hashtags if tag in rows}
        if any(item.post.created_at - at > self.oldest for at, _ in own.values()):
            return None
        return {tag: prior for tag, (_, prior) in own.items()}


def post_features(settings: Settings, post_id: str) -> dict[str, FeatureValue]:
    """Every online feature of one post; {} when it is not known."""
    store = feature_store(settings)
    names = [
        f"{view.name}:{feature.name}"
        for view in store.list_feature_views()
        if view.online and view.name != "hashtag"
        for feature in view.features
    ]
    names += [f"post_clock:{f}" for f in ("hour_sin", "hour_cos", "weekday_sin", "weekday_cos")]
    values = store.get_online_features(features=names, entity_rows=[{"post_id": post_id}]).to_dict()
    if values["posted_at"][0] is None:
        return {}
    return {name: value[0] for name, value in values.items()}
