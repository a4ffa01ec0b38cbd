"""One post of a training set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from covla.arrays import FloatArray
from covla.posts.content_groups import Content
from covla.posts.hashtag_prior import HashtagPrior
from covla.schemas.post import SocialPost

Split = Literal["train", "holdout"]


@dataclass
class TrainingPost:
    """One post of a training set.

    post: text, and an image as base64 or as an address in the blob store. label: a name of the
    taxonomy, or None. priors: hashtag -> what was known of it before the post. teacher: a
    teacher's vector, or None; teacher_id: whose, None for whoever is asked. split: `holdout` posts
    never train, they measure and calibrate. content, group: what `covla.posts.splits.grouped`
    has found.
    """

    post: SocialPost
    label: str | None
    split: Split = "train"
    pair_type: str | None = None
    priors: Mapping[str, HashtagPrior] = field(default_factory=dict)
    teacher: FloatArray | None = None
    teacher_id: str | None = None
    content: Content | None = field(default=None, compare=False, repr=False)
    group: str = ""

    @property
    def post_id(self) -> str:
        """The post's own id."""
        return self.post.post_id
