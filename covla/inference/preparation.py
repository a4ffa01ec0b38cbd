"""Posts made ready for the networks, several at a time, in threads of this process."""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from covla.errors import CovlaError, PostError, ServiceUnavailable
from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.schemas.post import SocialPost
from covla.settings import Settings

INTERNAL = "internal"
_THREADS = 4

log = logging.getLogger(__name__)
Prepared = PreparedPost | PostError


class Preparation(Protocol):
    """Whoever prepares posts."""

    def submit(self, posts: Sequence[SocialPost]) -> Callable[[], list[Prepared]]:
        """Begin; the function waits for one result or one error for each post, in order.

        Raises:
            ServiceUnavailable: here or from the function, when no post is to blame.
            MemoryError: there is none left.
        """


class Threads:
    """Prepares in threads: OpenCV and NumPy let several work at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._blobs = BlobStore(settings)
        threads = min(_THREADS, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="covla-prepare")

    def submit(self, posts: Sequence[SocialPost]) -> Callable[[], list[Prepared]]:
        """As `Preparation` says."""
        pending = [
            self._pool.submit(prepare_one, post, self._settings, self._blobs) for post in posts
        ]
        return lambda: [future.result() for future in pending]


def prepare_one(post: SocialPost, settings: Settings, blobs: BlobStore) -> Prepared:
    """Check, decode and measure one post; an error is returned, not raised.

    Raises:
        ServiceUnavailable: the blob store does not answer.
        MemoryError: there is none left.
    """
    try:
        return prepare(post.check_limits(settings), settings, blobs)
    except PostError as error:
        return error
    except MemoryError:
        raise
    except OSError as error:
        raise ServiceUnavailable(f"the blob store does not answer: {error}") from error
    except CovlaError:
        raise
    except Exception as error:  # noqa: BLE001  # one post's, as the Predictor makes sure
        return internal(post, error)


def internal(post: SocialPost, error: BaseException) -> PostError:
    """The error of a post that fails by itself."""
    log.error("post %s cannot be processed", post.post_id, exc_info=error)
    return PostError("post", INTERNAL, "it cannot be processed; the log says why")
