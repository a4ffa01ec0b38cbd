"""The online store as the context of a model, opened when it is first asked."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from covla.inference.predictor import ContextSource, Priors
from covla.posts.preprocessing import PreparedPost
from covla.settings import Settings

if TYPE_CHECKING:
    from features.online import OnlineContext


def online_context(settings: Settings) -> ContextSource:
    """What is known online of posts' hashtags. Feast takes seconds and a hundred megabytes, and
    only a model with hashtag nodes asks, when it is warmed up."""
    opened: list[OnlineContext] = []
    lock = threading.Lock()

    def priors(items: Sequence[PreparedPost]) -> Sequence[Priors]:
        with lock:
            if not opened:
                from features.online import OnlineContext

                opened.append(OnlineContext(settings))
        return opened[0].priors(items)

    return priors
