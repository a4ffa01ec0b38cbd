"""A client of the REST service: `from covla.client import Client`. It loads no model."""

from covla.client.answers import NotAllowed, TryLater
from covla.client.async_client import AsyncClient
from covla.client.client import Client
from covla.client.posts import PostLike
from covla.errors import CovlaError, PostError, ServiceUnavailable

__all__ = [
    "AsyncClient",
    "Client",
    "CovlaError",
    "NotAllowed",
    "PostError",
    "PostLike",
    "ServiceUnavailable",
    "TryLater",
]
