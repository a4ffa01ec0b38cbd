"""The `base` encoders for commands of the feature store."""

import pytest

from covla.model.encoders import Encoders, load_encoders
from covla.settings import Settings
from tests.conftest import FreshState


@pytest.fixture(scope="session")
def encoders(tmp_path_factory: pytest.TempPathFactory, fresh_state: FreshState) -> Encoders:
    """The `base` encoders, compiled once for all tests of this package."""
    return load_encoders("base", Settings(state=fresh_state(tmp_path_factory.mktemp("encoders"))))
