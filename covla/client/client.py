"""The client for programs that wait for their answers."""

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import httpx
from tenacity import Retrying

from covla.client.answers import Response
from covla.client.connection import Connection, http_options
from covla.client.posts import PostLike, batch_body, batches, post_json
from covla.errors import PostError
from covla.schemas.explanation import Explained
from covla.schemas.prediction import Prediction


class Client:
    """Asks a service of `covla serve`. Close it, or use it in a `with`; threads may share it.

    Every method raises, beside what it names:
        NotAllowed: the API key is missing, unknown, revoked or for something else.
        TryLater: the service is busy (429) or cannot predict now (503) until the deadline.
        ServiceUnavailable: no answer, none in time, or one that cannot be read.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        deadline: float = 120.0,
    ) -> None:
        """
        Args:
            address: such as https://places.example.org; default: 127.0.0.1 and COVLA_REST_PORT.
            api_key: default: COVLA_API_KEY, where that is set.
            timeout: seconds without anything from the service, of one try.
            deadline: seconds for a request with its tries and pauses; `predict_many` makes a
                request for each 32 posts.

        Raises:
            CovlaError: an argument or a setting cannot be used.
        """
        self._connection = Connection.to(address, api_key, timeout, deadline)
        self._http = httpx.Client(**http_options(self._connection))

    def predict(self, post: PostLike) -> Prediction:
        """What kind of place one post shows.

        Raises:
            PostError: the post cannot be used; it names the field.
        """
        return self._send("/predict", post_json(post, self._connection.settings)).prediction()

    def predict_many(self, posts: Iterable[PostLike]) -> Iterator[Prediction | PostError]:
        """A prediction or an error for each post, in order. Posts are read as results are taken."""
        for batch in batches(posts, self._connection.settings):
            if body := batch_body(batch):
                yield from self._send("/predict_batch", body).results(batch)
            else:
                yield from (item for item in batch if isinstance(item, PostError))

    def explain(self, post: PostLike) -> Explained:
        """A prediction, and why.

        Raises:
            PostError: the post cannot be used; it names the field.
        """
        return self._send("/explain", post_json(post, self._connection.settings)).explained()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, path: str, body: bytes) -> Response:
        ends = time.monotonic() + self._connection.deadline
        return Retrying(**self._connection.retrying())(self._try, path, body, ends)

    def _try(self, path: str, body: bytes, ends: float) -> Response:
        connection = self._connection
        content = bytearray()
        left = ends - time.monotonic()
        if left <= 0:
            raise connection.too_late()
        timeout = min(connection.timeout, left)
        try:
            with self._http.stream(
                "POST", path, content=body, timeout=timeout, headers={"timeout": f"{timeout:.3f}"}
            ) as response:
                for part in response.iter_bytes():
                    content += part
                    # httpx bounds the time between two parts, and not that of all of them.
                    if time.monotonic() > ends:
                        raise connection.too_late()
        except httpx.RequestError as error:
            if time.monotonic() >= ends:
                raise connection.too_late() from error
            raise connection.no_answer(error) from error
        return Response(
            connection.address, response.status_code, response.headers, bytes(content)
        ).checked()
