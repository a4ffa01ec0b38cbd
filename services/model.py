"""What the services use of a model, and how they get it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from covla.errors import PostError
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction


class Model(Protocol):
    """What the services use of a Predictor."""

    @property
    def version(self) -> str: ...
    @property
    def ready_since(self) -> datetime: ...
    def predict(self, items: Sequence[SocialPost]) -> list[Prediction | PostError]: ...


Current = Callable[[], Model]  # once a batch
