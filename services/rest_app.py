"""The routes of the REST service, as an ASGI application that BentoML mounts."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from covla.errors import PostError, ServiceUnavailable
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services import playground
from services.playground.examples import examples
from services.rest_explain import Explanations, wants_picture
from services.rest_metrics import Metrics
from services.rest_openapi import DOCS, DOCS_POLICY, document
from services.rest_queue import Answer, Overloaded, PredictionQueue
from services.rest_requests import batch_bytes, claim, many_posts, one_post, status_of

READ_SECONDS = 30
_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]


class Api:
    """The handlers. `queue` and `explanations` are set when the model is loaded and warm, before
    requests come."""

    queue: PredictionQueue
    explanations: Explanations

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics(lambda: self.queue.waiting, lambda: self.queue.ready)
        # What all bodies together may take while they are read and wait.
        self._free_bytes = 2 * batch_bytes(settings)

    def application(self) -> Starlette:
        """The ASGI application."""
        answers = {
            "/predict": self.predict,
            "/predict_batch": self.predict_batch,
            "/explain": self.explain,
        }
        pages = {
            "/": playground.page,
            "/examples": examples,
            "/docs": _docs,
            "/docs.json": _openapi,
            "/metrics": self.metrics_page,
        }
        return Starlette(
            exception_handlers={HTTPException: _http_error},
            routes=[
                *(
                    Route(path, self._guarded(path, f), methods=["POST"])
                    for path, f in answers.items()
                ),
                *(Route(path, page) for path, page in pages.items()),
            ],
        )

    async def predict(self, request: Request) -> Response:
        """One post, one prediction."""
        async with asyncio.timeout(READ_SECONDS):
            post = await one_post(request, self.settings)
        answer = await self._ask([post])
        result = answer.results[0]
        if isinstance(result, PostError):
            return _refusal(result, status_of(result))
        headers = {"Model-Version": answer.version}
        return Response(result.to_json(), media_type="application/json", headers=headers)

    async def predict_batch(self, request: Request) -> Response:
        """A list of posts; one prediction or one error for each, in order, and status 200."""
        async with asyncio.timeout(READ_SECONDS):
            items = await many_posts(request, self.settings)
        good = [item for item in items if isinstance(item, SocialPost)]
        answer = await self._ask(good)
        results = iter(answer.results)
        rows = []
        for item in items:
            if isinstance(item, PostError):
                self.metrics.refused(item.code)
                rows.append(orjson.dumps(_error(item)))
                continue
            result = next(results)
            if isinstance(result, PostError):
                rows.append(orjson.dumps(_error(result) | {"post_id": item.post_id}))
            else:
                rows.append(result.to_json())
        headers = {"Model-Version": answer.version}
        body = b"[" + b",".join(rows) + b"]"
        return Response(body, media_type="application/json", headers=headers)

    async def explain(self, request: Request) -> Response:
        """One post: its prediction and why, or a PNG of that where Accept asks for one."""
        async with asyncio.timeout(READ_SECONDS):
            post = await one_post(request, self.settings)
        picture = wants_picture(request.headers.get("accept", ""))
        reply = await asyncio.wrap_future(self.explanations.submit(post, picture=picture))
        headers = {"Model-Version": reply.version, "Vary": "Accept"}
        return Response(reply.content, media_type=reply.media_type, headers=headers)

    async def _ask(self, posts: list[SocialPost]) -> Answer:
        answer = await asyncio.wrap_future(self.queue.submit(posts))
        self.metrics.answered(answer)
        return answer

    def _guarded(self, route: str, handler: Handler) -> Handler:
        """Count, time, bound what is in flight, and turn every error into its answer."""
        settings = self.settings
        limit = batch_bytes(settings) if route == "/predict_batch" else settings.max_message_bytes

        async def guarded(request: Request) -> Response:
            started = time.perf_counter()
            claimed = 0
            try:
                wanted = claim(request, limit)
                if wanted > self._free_bytes:
                    raise Overloaded(self.queue.waiting, 1)
                self._free_bytes -= wanted
                claimed = wanted
                response = await handler(request)
            except PostError as error:
                self.metrics.refused(error.code)
                response = _refusal(error, status_of(error))
            except Overloaded as error:
                self.metrics.refused("overloaded")
                busy = {"error": str(error), "field": "", "code": "overloaded"}
                headers = {"Retry-After": str(error.retry_after)}
                response = JSONResponse(busy, 429, headers=headers)
            except (ServiceUnavailable, MemoryError) as error:
                self.metrics.refused("unavailable")
                log.warning("%s cannot be answered now: %s", route, error)
                reason = str(error) or "the server is out of memory"
                away = {"error": reason, "field": "", "code": "unavailable"}
                response = JSONResponse(away, 503, headers={"Retry-After": "5"})
            except TimeoutError:
                self.metrics.refused("too_slow")
                slow = PostError("body", "too_slow", f"did not arrive within {READ_SECONDS} s")
                response = _refusal(slow, 408)
            except Exception:
                log.exception("%s failed", route)
                self.metrics.refused("internal")
                internal = {"error": "internal error; the server's log says why"}
                response = JSONResponse(internal | {"field": "", "code": "internal"}, 500)
            finally:
                self._free_bytes += claimed
            response.headers.update(_SAFE)
            self.metrics.request(route, response.status_code, time.perf_counter() - started)
            return response

        return guarded

    async def metrics_page(self, _: Request) -> Response:
        """Prometheus metrics."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")


def _error(error: PostError) -> dict[str, Any]:
    return {"error": str(error), "field": error.field, "code": error.code}


def _refusal(error: PostError, status: int) -> Response:
    # An unread rest of the body would be taken for the next request on this connection.
    return JSONResponse(
        _error(error), status, headers={"Connection": "close"} if status == 413 else None
    )


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {"error": str(error.detail), "field": "", "code": "http"}
    return JSONResponse(body, error.status_code, headers=error.headers)


async def _docs(_: Request) -> Response:
    return HTMLResponse(DOCS, headers=_SAFE | {"Content-Security-Policy": DOCS_POLICY})


async def _openapi(_: Request) -> Response:
    return JSONResponse(document())
