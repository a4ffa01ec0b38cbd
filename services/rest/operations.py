"""What the REST service does, whichever way it is asked: the methods of the BentoML service and the
HTTP handlers call the same functions."""

import asyncio
import time

from covla.errors import DeviceFailed
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.label import PostLabel
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services.rest.answers import LabelDescription, Serving, descriptions, serving
from services.rest.explain import Explanations, Reply
from services.rest.feedback import Feedback, FeedbackPublisher
from services.rest.metrics import Metrics
from services.rest.queue import Answer, PredictionQueue


class Operations:
    """`queue` and `explanations` are set when the model is loaded and warm, before requests
    come."""

    queue: PredictionQueue
    explanations: Explanations

    def __init__(self, settings: Settings) -> None:
        """Raises CovlaError: the taxonomy cannot be read."""
        self.settings = settings
        self.metrics = Metrics(lambda: self.queue.waiting, lambda: self.queue.ready)
        taxonomy = load_taxonomy(settings=settings)
        self._labels = descriptions(taxonomy)
        self._feedback = FeedbackPublisher(settings, taxonomy)

    async def predictions(self, posts: list[SocialPost], deadline: float | None = None) -> Answer:
        """One prediction or one error for each post, in order.

        Args:
            deadline: of `time.monotonic()`; default: what the setting `rest_timeout` allows.

        Raises:
            Overloaded: there is no room for all of them, or not the time.
            ServiceUnavailable: the model fails.
        """
        if deadline is None:
            deadline = time.monotonic() + self.settings.rest_timeout
        answer = await asyncio.wrap_future(self.queue.submit(posts, deadline))
        self.metrics.results(answer)
        return answer

    async def explanation(
        self, post: SocialPost, *, image: bool = False, deadline: float | None = None
    ) -> Reply:
        """A prediction and why, drawn too where an image is wanted; `deadline` as for predictions.

        Raises:
            PostError: the post cannot be used.
            Overloaded: enough are waiting.
            ServiceUnavailable: the model fails.
            DeviceFailed: the GPU did; no post is predicted either any more.
        """
        if deadline is None:
            deadline = time.monotonic() + self.settings.rest_timeout
        future = self.explanations.submit(post, image=image, deadline=deadline)
        try:
            return await asyncio.wrap_future(future)
        except DeviceFailed as error:
            raise self.queue.end(error) from error

    def label_descriptions(self) -> list[LabelDescription]:
        """The labels in the order of the taxonomy."""
        return self._labels

    def serving(self) -> Serving:
        """The version that answers the next batch, and since when."""
        return serving(self.queue.model)

    async def publish(self, feedback: Feedback) -> PostLabel:
        """Send a user's label to the labels topic; returns what every replica has.

        Raises:
            PostError: there is no such label.
            Overloaded: enough are waiting.
            ServiceUnavailable: no broker is known, or none acknowledges in time.
        """
        return await asyncio.wrap_future(self._feedback.submit(feedback))

    def close(self) -> None:
        """Answer what was accepted, then end."""
        self.queue.close()
        self.explanations.close()
        self._feedback.close()
