"""Posts at hand, and posts that nobody has at hand."""

from dataclasses import replace
from pathlib import Path

from covla.inference.known_context import known_context
from covla.inference.predictor import Predictor
from covla.posts.hashtag_prior import HashtagPrior
from covla.posts.preprocessing import PreparedPost
from covla.posts.training_post import TrainingPost
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings
from covla.times import now


def test_a_model_with_hashtags_is_warm_and_checked_with_posts_of_its_own(
    tiny_folder: Path, offline_settings: Settings
) -> None:
    post = SocialPost(post_id="p", created_at=now(), text="Leg day #gym")
    priors = {"gym": HashtagPrior([1.0] + [0.0] * 10, 1000.0)}
    known = known_context([TrainingPost(post, None, priors=priors)])
    model = Predictor.load(tiny_folder, offline_settings, known)
    model.warm_up()
    model.check()
    prepared = model.prepare(post)
    assert isinstance(prepared, PreparedPost)
    other = replace(prepared, post=post.model_copy(update={"post_id": "q"}))
    assert list(model.look_up([prepared, other])) == [priors, {}]
    (answer,) = model.predict([post])
    assert isinstance(answer, Prediction)
    assert "stale_context" not in answer.flags
