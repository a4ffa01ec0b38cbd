"""Published ports: what connects to this machine's loopback address reaches a container."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

# A listening socket of the machine's own network, and where its connections go.
Published = tuple[socket.socket, str, int]


def forward(published: Sequence[Published]) -> None:
    """Carry connections, in a thread, until this process ends."""
    threading.Thread(target=lambda: asyncio.run(_serve(published)), daemon=True).start()


async def _serve(published: Sequence[Published]) -> None:
    servers = [
        await asyncio.start_server(_to(address, port), sock=listener)
        for listener, address, port in published
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _to(address: str, port: int) -> Callable[..., Awaitable[None]]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            replies, target = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()  # as a port that nobody listens on
            return
        await asyncio.gather(_carry(reader, target), _carry(replies, writer))

    return connected


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
