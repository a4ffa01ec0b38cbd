"""The connection of a request: no work goes on for a client that left."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

CLIENT_LEFT = 499  # as nginx counts it; never sent

Value = TypeVar("Value")


class ClientLeft(Exception):
    """The client closed the connection before it had its answer."""


async def while_connected(request: Request, work: Coroutine[Any, Any, Value]) -> Value:
    """The value of `work` on a request whose body was read.

    Raises:
        ClientLeft: the client did, and the work was cancelled.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeft
    finally:
        working.cancel()
        watching.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
