"""The context of posts that are at hand, in place of the online store's."""

from collections.abc import Iterable

from covla.inference.predictor import ContextSource
from covla.posts.training_post import TrainingPost


def known_context(posts: Iterable[TrainingPost]) -> ContextSource:
    """What was known of these posts' hashtags before each of them. Of any other post, such as the
    one that a model is warmed up or checked with, nothing is known."""
    priors = {post.post_id: post.priors for post in posts}
    return lambda items: [priors.get(item.post.post_id, {}) for item in items]
