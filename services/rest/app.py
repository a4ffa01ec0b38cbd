"""The routes of the REST service, as an ASGI application in front of BentoML's own routes."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from covla.errors import PostError, ServiceUnavailable
from covla.schemas.post import SocialPost
from covla.settings import Settings
from services import playground
from services.playground.examples import examples
from services.rest.connection import CLIENT_LEFT, ClientLeft, while_connected
from services.rest.explain import wants_image
from services.rest.feedback import Feedback
from services.rest.keys import Denied, KeyCheck
from services.rest.links import is_here, links
from services.rest.openapi import DOCS, DOCS_POLICY, document
from services.rest.operations import Operations
from services.rest.queue import Overloaded
from services.rest.requests import (
    batch_bytes,
    claim,
    deadline_of,
    many_posts,
    one_object,
    one_post,
    read_body,
    status_of,
)

READ_SECONDS = 30
QUESTION_BYTES = 4096  # the body of a question that needs none

log = logging.getLogger(__name__)
Handler = Callable[[Request, bytes, float], Coroutine[Any, Any, Response]]  # body, deadline


class Api(Operations):
    """The handlers, around what the methods of the BentoML service do too."""

    def __init__(self, settings: Settings) -> None:
        """Raises CovlaError: the taxonomy cannot be read."""
        super().__init__(settings)
        self.keys = KeyCheck(settings)
        # What all bodies together may take while they are read and wait.
        self._free_bytes = 2 * batch_bytes(settings)

    def application(self) -> Starlette:
        """The ASGI application."""
        one = self.settings.max_message_bytes
        posts = {  # route -> handler, and the largest body
            "/predict": (self.predict, one),
            "/predict_batch": (self.predict_batch, batch_bytes(self.settings)),
            "/explain": (self.explain, one),
            "/feedback": (self.feedback, one),
        }
        questions = {"/labels": self.labels, "/version": self.version}
        pages = {
            "/": playground.page,
            "/examples": examples,
            "/links": self.links,
            "/docs": _docs,
            "/docs.json": _openapi,
            "/metrics": self.metrics_page,
        }
        return Starlette(
            exception_handlers={HTTPException: _http_error},
            routes=[
                *(
                    Route(path, self._guarded(path, handler, limit), methods=["POST"])
                    for path, (handler, limit) in posts.items()
                ),
                *(
                    Route(
                        path, self._guarded(path, handler, QUESTION_BYTES), methods=["GET", "POST"]
                    )
                    for path, handler in questions.items()
                ),
                *(Route(path, page) for path, page in pages.items()),
            ],
        )

    async def predict(self, request: Request, body: bytes, deadline: float) -> Response:
        """One post, one prediction."""
        post = await one_post(request, body, self.settings)
        answer = await self.predictions([post], deadline)
        result = answer.results[0]
        if isinstance(result, PostError):
            return _refusal(result, status_of(result))
        headers = {"Model-Version": result.model_version}
        return Response(result.to_json(), media_type="application/json", headers=headers)

    async def predict_batch(self, _: Request, body: bytes, deadline: float) -> Response:
        """A list of posts; one prediction or one error for each, in order, and status 200.

        Model-Version is the version that answered; where champion and canary both did, it is both,
        the champion first, and each prediction has its own."""
        # Megabytes: not on the event loop.
        items = await run_in_threadpool(many_posts, body, self.settings)
        good = [item for item in items if isinstance(item, SocialPost)]
        answer = await self.predictions(good, deadline)
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
        headers = {"Model-Version": ", ".join(answer.versions)}
        content = b"[" + b",".join(rows) + b"]"
        return Response(content, media_type="application/json", headers=headers)

    async def explain(self, request: Request, body: bytes, deadline: float) -> Response:
        """One post: its prediction and why, or a PNG of that where Accept prefers one."""
        post = await one_post(request, body, self.settings)
        image = wants_image(request.headers.get("accept", ""))
        reply = await self.explanation(post, image=image, deadline=deadline)
        headers = {"Model-Version": reply.version, "Vary": "Accept"}
        return Response(reply.content, media_type=reply.media_type, headers=headers)

    async def labels(self, *_: object) -> Response:
        """The kinds of places."""
        return JSONResponse([label.model_dump() for label in self.label_descriptions()])

    async def version(self, *_: object) -> Response:
        """Who answers, and since when."""
        now = self.serving()
        return JSONResponse(
            now.model_dump(mode="json"), headers={"Model-Version": now.model_version}
        )

    async def feedback(self, request: Request, body: bytes, _: float) -> Response:
        """A user's label for a post; it is on Kafka when this answers."""
        label = await self.publish(Feedback.from_dict(one_object(request, body)))
        return Response(label.to_json(), media_type="application/json")

    def _guarded(
        self, route: str, handler: Handler, limit: int
    ) -> Callable[[Request], Awaitable[Response]]:
        """Count, time, bound what is in flight, and turn every error into its answer."""

        async def guarded(request: Request) -> Response:
            started = time.perf_counter()
            claimed = 0
            try:
                self.keys.check(request, route)
                deadline = deadline_of(request, self.settings)
                size = claim(request, limit)
                if size > self._free_bytes:
                    raise Overloaded(self.queue.waiting, 1)
                self._free_bytes -= size
                claimed = size
                async with asyncio.timeout(READ_SECONDS):
                    body = await read_body(request, claimed)
                response = await while_connected(request, handler(request, body, deadline))
            except ClientLeft:
                self.metrics.refused("client_left")
                response = Response(status_code=CLIENT_LEFT)  # which nobody reads
            except Denied as error:
                self.metrics.refused(error.code)
                response = error.response()
            except PostError as error:
                self.metrics.refused(error.code)
                response = _refusal(error, status_of(error))
            except Overloaded as error:
                response = self._failure(429, "overloaded", str(error), error.retry_after)
            except (ServiceUnavailable, MemoryError) as error:
                log.warning("%s cannot be answered now: %s", route, error)
                reason = str(error) or "the server is out of memory"
                response = self._failure(503, "unavailable", reason, 5)
            except TimeoutError:
                self.metrics.refused("too_slow")
                slow = PostError("body", "too_slow", f"did not arrive within {READ_SECONDS} s")
                response = _refusal(slow, 408)
            except Exception:
                log.exception("%s failed", route)
                reason = "internal error; the server's log says why"
                response = self._failure(500, "internal", reason)
            finally:
                self._free_bytes += claimed
            response.headers.update(playground.SAFE)
            self.metrics.request(route, response.status_code, time.perf_counter() - started)
            return response

        return guarded

    def _failure(self, status: int, code: str, reason: str, retry: int | None = None) -> Response:
        """An error that is of no field, counted; `retry` is in seconds."""
        self.metrics.refused(code)
        body = {"error": reason, "field": "", "code": code}
        headers = None if retry is None else {"Retry-After": str(retry)}
        return JSONResponse(body, status, headers=headers)

    async def links(self, request: Request) -> Response:
        """Where the page leads to."""
        return JSONResponse(links(self.settings, here=is_here(request)))

    async def metrics_page(self, _: Request) -> Response:
        """Prometheus metrics."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")


def _error(error: PostError) -> dict[str, str]:
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
    return HTMLResponse(DOCS, headers=playground.SAFE | {"Content-Security-Policy": DOCS_POLICY})


async def _openapi(_: Request) -> Response:
    return JSONResponse(document())
