"""BentoML's own split: workers for HTTP, joined by `bentoml.depends` to one process with the model,
and its adaptive batching there. The workers parse, decode and measure. bench.goodput starts it with
`bentoml serve`, in the environment of the project."""

import os
import pickle
from typing import Any

import bentoml
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.peers import answer, parse
from covla.errors import PostError
from covla.inference.preparation import prepare_one
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost
from covla.settings import get_settings

BATCH, LATENCY_MS = 32, 30_000


@bentoml.service(name="model", workers=1, traffic={"timeout": 60})
class Model:
    """The networks."""

    def __init__(self) -> None:
        from bench.peers import load

        self.predictor, _ = load(os.environ["BENCH_MODEL"])

    @bentoml.api(  # type: ignore[untyped-decorator]
        batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MS
    )
    def predict(self, pickled: list[bytes]) -> list[bytes]:
        """Predictions of prepared posts. Pickled: BentoML hands dataclasses on as dictionaries."""
        items = [pickle.loads(item) for item in pickled]  # noqa: S301  (of the front)
        encoded = self.predictor.encode(items)
        found = self.predictor.answer(items, encoded, self.predictor.look_up(items))
        return [pickle.dumps(item) for item in found]


async def predict(request: Request) -> JSONResponse:
    """One post."""
    front = bentoml.get_current_service()
    item = await run_in_threadpool(front.prepared, await request.json())
    if isinstance(item, PreparedPost):
        (found,) = await front.model.to_async.predict(pickled=[pickle.dumps(item)])
        item = pickle.loads(found)  # noqa: S301
    status, content = answer(item)
    return JSONResponse(content, status)


@bentoml.service(name="front", workers=int(os.environ.get("BENCH_WORKERS") or 2))
@bentoml.asgi_app(Starlette(routes=[Route("/predict", predict, methods=["POST"])]))
class Front:
    """HTTP."""

    model = bentoml.depends(Model)

    def __init__(self) -> None:
        self.settings = get_settings()
        self.blobs = BlobStore(self.settings)

    def prepared(self, value: dict[str, Any]) -> PreparedPost | PostError:
        """What goes to the model."""
        try:
            return prepare_one(parse(value, self.settings), self.settings, self.blobs)
        except PostError as error:
            return error
