"""The client for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import httpx
from tenacity import AsyncRetrying

from covla.client.answers import Response
from covla.client.connection import Connection, http_options
from covla.client.posts import PostLike, batch_body, batches, post_json
from covla.errors import PostError
from covla.schemas.explanation import Explained
from covla.schemas.prediction import Prediction


class AsyncClient:
    """`covla.client.Client` with `await`: the same arguments, results and errors."""

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        deadline: float = 120.0,
    ) -> None:
        """As `Client`; `timeout` and `deadline` are in seconds.

        Raises:
            CovlaError: an argument or a setting cannot be used.
        """
        self._connection = Connection.to(address, api_key, timeout, deadline)
        self._http = httpx.AsyncClient(**http_options(self._connection))

    async def predict(self, post: PostLike) -> Prediction:
        """What kind of place one post shows.

        Raises:
            PostError: the post cannot be used; it names the field.
        """
        return (await self._send_post("/predict", post)).prediction()

    async def predict_many(
        self, posts: Iterable[PostLike]
    ) -> AsyncIterator[Prediction | PostError]:
        """A prediction or an error for each post, in order. Posts are read as results are taken."""
        left = batches(posts, self._connection.settings)
        # Files are read in a thread.
        while batch := await asyncio.to_thread(next, left, None):
            if body := batch_body(batch):
                results = (await self._send("/predict_batch", body)).results(batch)
            else:
                results = [item for item in batch if isinstance(item, PostError)]
            for result in results:
                yield result

    async def explain(self, post: PostLike) -> Explained:
        """A prediction, and why.

        Raises:
            PostError: the post cannot be used; it names the field.
        """
        return (await self._send_post("/explain", post)).explained()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _send_post(self, path: str, post: PostLike) -> Response:
        body = await asyncio.to_thread(post_json, post, self._connection.settings)
        return await self._send(path, body)

    async def _send(self, path: str, body: bytes) -> Response:
        connection = self._connection
        try:
            async with asyncio.timeout(connection.deadline):
                return await AsyncRetrying(**connection.retrying())(self._try, path, body)
        except TimeoutError as error:
            raise connection.too_late() from error

    async def _try(self, path: str, body: bytes) -> Response:
        seconds = min(self._connection.timeout, self._connection.deadline)
        allowed = {"timeout": f"{seconds:.3f}"}
        try:
            response = await self._http.post(path, content=body, headers=allowed)
        except httpx.RequestError as error:
            raise self._connection.no_answer(error) from error
        return Response(
            self._connection.address, response.status_code, response.headers, response.content
        ).checked()
