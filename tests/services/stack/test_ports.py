"""A taken port: the next one when it was only a default, a clear error when it was asked for."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from covla.errors import CovlaError
from covla.settings import Settings
from services.stack import ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ports.LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_default_port_gives_way_to_the_next_free_one(taken: int) -> None:
    settings = Settings.model_construct(_fields_set=set(), mlflow_port=taken)
    chosen = ports.choose(settings, "mlflow_port")
    assert taken < chosen <= taken + 99
    assert ports.is_free(chosen)


def test_a_port_set_by_hand_is_an_error_that_says_what_to_do(tmp_path: Path, taken: int) -> None:
    settings = Settings(state=tmp_path, mlflow_port=taken)
    with pytest.raises(CovlaError, match=rf"port {taken} .* is taken\. .*COVLA_MLFLOW_PORT"):
        ports.choose(settings, "mlflow_port")


def test_a_free_port_is_taken_as_asked(tmp_path: Path) -> None:
    port = ports.any_free()
    assert ports.choose(Settings(state=tmp_path, mlflow_port=port), "mlflow_port") == port
