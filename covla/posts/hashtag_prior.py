"""What is known of a hashtag before a post."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HashtagPrior:
    """What is known of a hashtag from past labelled posts.

    `prior` is its share of each label, in taxonomy order (zeros when it was never labelled);
    `count` is how many posts carried it.
    """

    prior: Sequence[float]
    count: float
