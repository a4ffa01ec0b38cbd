"""Posts of the lake, and what versions of the registry predicted of them live."""

from covla.inference.predictor import Predictor
from covla.registry.registry import Registry
from covla.schemas.label import PostLabel
from covla.schemas.prediction import Prediction
from covla.times import now
from services.canary import place_of
from tests.features.posts import make_post
from tests.monitoring.live import keep

WORDS = ("coffee", "beach sand", "leg day #gym", "new shoes", "at home", "train late", "museum")
POSTS = [make_post(i, text=f"{WORDS[i % len(WORDS)]} {i}", image=i % 3 > 0) for i in range(60)]


def predicted_live(registry: Registry, *, labelled: bool = True, canary: str | None = None) -> None:
    """The champion predicts every post, or a canary half of them, and labels come that are what
    version 1 says."""
    settings = registry.settings
    made = Predictor.load("champion", settings).predict(POSTS)
    if canary is not None:
        theirs = Predictor.load(canary, settings).predict(POSTS)
        made = [
            new if place_of(post.post_id) < 0.5 else old
            for post, new, old in zip(POSTS, theirs, made, strict=True)
        ]
    first = Predictor.load("1", settings).predict(POSTS)
    predictions = [one for one in made if isinstance(one, Prediction)]
    assert len(predictions) == len(POSTS)
    labels = [
        PostLabel(post_id=one.post_id, label=one.label, labelled_at=now(), source="test")
        for one in first
        if isinstance(one, Prediction) and labelled
    ]
    keep(settings, predictions, labels, created=now())
