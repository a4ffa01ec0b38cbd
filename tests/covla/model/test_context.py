from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from covla.model.configuration import CovlaConfig
from covla.model.context import Layout, context_of
from covla.model.model_config import CONTEXT_NODES
from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.quality import IMAGE_QUALITY, TEXT_QUALITY
from covla.schemas.post import SocialPost
from covla.settings import Settings

CONFIG = CovlaConfig(
    labels=["home", "shop"],
    languages=["de", "en"],
    context_nodes=list(CONTEXT_NODES),
    text_quality=list(TEXT_QUALITY),
    image_quality=list(IMAGE_QUALITY),
)


def prepared(tmp_path: Path, text: str) -> PreparedPost:
    settings = Settings(state=tmp_path)
    at = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)  # a Monday, a quarter of the day
    post = SocialPost(post_id="p", created_at=at, text=text, lang="en")
    return prepare(post, settings, BlobStore(settings))


def node(name: str) -> int:
    return next(first for kind, first, _, _ in Layout.of(CONFIG).kinds if kind == name)


def test_nodes_hold_time_language_and_quality(tmp_path: Path) -> None:
    context = context_of(prepared(tmp_path, "bread and rolls"), CONFIG)
    np.testing.assert_allclose(context.nodes[node("hour"), :2], [1, 0], atol=1e-6)
    np.testing.assert_allclose(context.nodes[node("weekday"), :2], [0, 1], atol=1e-6)
    assert context.nodes[node("lang"), :3].tolist() == [0, 1, 0]
    assert context.nodes[node("text_quality"), 0] == len("bread and rolls")
    assert not context.mask[node("image_quality")]  # no image


def test_known_hashtags_carry_their_prior_and_unknown_ones_zeros(tmp_path: Path) -> None:
    priors = {"bakery": HashtagPrior([0.25, 0.75], 9)}
    context = context_of(prepared(tmp_path, "fresh #Bakery #new"), CONFIG, priors)
    first = node("hashtags")
    np.testing.assert_allclose(context.nodes[first, :3], [0.25, 0.75, np.log(10)], rtol=1e-6)
    assert context.nodes[first + 1].tolist() == [0.0] * context.nodes.shape[1]
    assert context.mask[first : first + 4].tolist() == [True, True, False, False]


def test_at_most_four_hashtags_count(tmp_path: Path) -> None:
    context = context_of(prepared(tmp_path, "#a1 #b2 #c3 #d4 #e5 #f6"), CONFIG)
    assert context.mask[node("hashtags") : node("hashtags") + 4].all()


@pytest.mark.parametrize("nodes", [[], ["hour"], list(CONTEXT_NODES)])
def test_the_list_of_nodes_says_which_there_are(tmp_path: Path, nodes: list[str]) -> None:
    config = CovlaConfig(**CONFIG.to_dict() | {"context_nodes": nodes})
    context = context_of(prepared(tmp_path, "bread"), config)
    assert context.nodes.shape == (Layout.of(config).nodes, Layout.of(config).width)
    assert context.mask.any() == bool(nodes)
