"""The REST service: a BentoML service around the one Predictor, in one process.

`bentoml serve services.rest:Covla`, `bentoml build` and BentoML's clients know it by its typed
methods. Over HTTP an ASGI application of ours is in front of BentoML's own routes, since these
cannot refuse a body before reading it, answer one error per item, or give 413, 422 and 429 with a
reason (ADR 30). Both call the same functions.
"""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Annotated, Any, cast

import bentoml
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from covla.errors import CovlaError, DeviceFailed, PostError
from covla.schemas.contract import PostId
from covla.schemas.explanation import Explained
from covla.schemas.label import PostLabel
from covla.schemas.post import SocialPost
from covla.schemas.prediction import Prediction
from covla.settings import Settings, get_settings, pin_state
from services.bento_model import BentoModel
from services.model import Current
from services.model_provider import check_reference, serving
from services.rest.answers import ItemError, LabelDescription, Serving
from services.rest.app import Api
from services.rest.explain import Explanations, maker
from services.rest.feedback import Feedback
from services.rest.queue import PredictionQueue

QUEUE_POSTS = 256  # a bound of memory; that of time is the deadline of each request
OPTIONS: dict[str, Any] = {
    "name": "covla",
    "workers": 1,  # one process holds the model; more machines, not more copies
    "traffic": {"timeout": 60},
    "metrics": {"enabled": False},  # ours is at the same place
    "logging": {"access": {"enabled": False}},
}


def _inside() -> BentoModel | None:
    """The model inside the Bento that this process serves; a Bento answers with no other one."""
    bento = cast(Any, Covla).bento
    return None if bento is None else BentoModel.of(bento)


def _model(settings: Settings) -> AbstractContextManager[Current]:
    inside = _inside()
    if inside is None:
        return serving(settings, settings.model)
    inside.check()
    return serving(settings, (inside.version, inside.folder))


def _check(settings: Settings) -> None:
    inside = _inside()
    if inside is None:
        check_reference(settings)
    else:
        inside.check()


def _terminate(_: DeviceFailed) -> None:
    # What waits is answered with 503, and BentoML starts another worker.
    os.kill(os.getpid(), signal.SIGTERM)


@bentoml.service(**OPTIONS)
class Covla:
    """What kind of place does a social post show?"""

    def __init__(
        self,
        settings: Settings | None = None,
        model: AbstractContextManager[Current] | None = None,
        failed: Callable[[DeviceFailed], None] | None = None,
    ) -> None:
        """BentoML gives none: then settings and model are what `COVLA_*` variables say.

        Args:
            settings: limits, and where everything is.
            model: is held open while the service lives.
            failed: ends this process, which a GPU failed under; default: as a SIGTERM does.

        Raises:
            CovlaError: a setting, the taxonomy or the model cannot be used.
            ServiceUnavailable: the registry does not answer.
        """
        settings = settings or get_settings()
        with ExitStack() as stack:
            current = stack.enter_context(model or _model(settings))
            self.api = Api(settings)
            self.api.queue = PredictionQueue(
                current, capacity=QUEUE_POSTS, failed=failed or _terminate
            )
            self.api.explanations = Explanations(maker(current))
            stack.callback(self.api.close)
            self.api.metrics.serves(current().version)
            self._open = stack.pop_all()
        self.application = self.api.application()
        self.paths = frozenset(route.path for route in self.application.routes)  # type: ignore[attr-defined]

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Refuse, before a process is started for it, a model that is not there or not whole."""
        try:
            _check(get_settings())
        except CovlaError as error:
            raise bentoml.exceptions.BentoMLException(str(error)) from error
        pin_state()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, post: SocialPost, /) -> Prediction:
        """Predict one post.

        Raises:
            PostError: the post cannot be used.
        """
        (result,) = (await self.api.predictions([post])).results
        if isinstance(result, PostError):
            raise result
        return result

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict_batch(self, posts: list[SocialPost], /) -> list[Prediction | ItemError]:
        """Predict several posts: one result or one error for each, in order."""
        results = (await self.api.predictions(posts)).results
        return [
            ItemError.of(result, post.post_id) if isinstance(result, PostError) else result
            for post, result in zip(posts, results, strict=True)
        ]

    @bentoml.api  # type: ignore[untyped-decorator]
    async def explain(self, post: SocialPost, /) -> Explained:
        """Predict one post and say why.

        Raises:
            PostError: the post cannot be used.
        """
        return (await self.api.explanation(post)).explained

    @bentoml.api  # type: ignore[untyped-decorator]
    async def labels(self) -> list[LabelDescription]:
        """The kinds of places, in the order of every probability vector."""
        return self.api.label_descriptions()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def version(self) -> Serving:
        """The model version that answers, and since when."""
        return self.api.serving()

    @bentoml.api  # type: ignore[untyped-decorator]
    async def feedback(
        self, post_id: PostId, label: Annotated[str, Field(min_length=1, max_length=64)]
    ) -> PostLabel:
        """Put a user's label for a post on the labels topic.

        Raises:
            PostError: there is no such label.
            ServiceUnavailable: no broker is known, or none acknowledges in time.
        """
        return await self.api.publish(Feedback(post_id=post_id, label=label))

    def __is_ready__(self) -> bool:
        return self.api.queue.ready

    def __is_alive__(self) -> bool:
        return self.api.queue.alive

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def finish(self) -> None:
        """Answer what was accepted, then let the model go."""
        self._open.close()


class OursFirst:
    """ASGI middleware: our application answers its paths, BentoML all others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            service = bentoml.get_current_service()
            path = scope["path"]
            if path in service.paths or path.rstrip("/") in service.paths:
                await service.application(scope, receive, send)
                return
        await self._app(scope, receive, send)


cast(Any, Covla).add_asgi_middleware(OursFirst)


def build(
    settings: Settings,
    current: Current,
    failed: Callable[[DeviceFailed], None] | None = None,
) -> Any:
    """The same service around a model that is loaded already."""

    class Loaded(cast(Any, Covla).inner):  # type: ignore[misc]
        __doc__ = Covla.__doc__

        def __init__(self) -> None:
            super().__init__(settings, nullcontext(current), failed)

    service = bentoml.service(**OPTIONS)(Loaded)
    service.add_asgi_middleware(OursFirst)
    return service
