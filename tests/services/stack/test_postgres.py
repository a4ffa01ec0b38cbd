"""A real PostgreSQL of a state folder."""

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from covla.errors import CovlaError
from covla.settings import Settings
from covla.waiting import wait_until
from services.stack import ports, postgres, processes
from tests.conftest import FreshState


@pytest.fixture
def closed(tmp_path: Path, fresh_state: FreshState) -> Settings:
    """A state folder that its owner alone may enter, of a name that needs quoting."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    state = fresh_state(home / "my 100% stäte #1 [a]?")
    return Settings(state=state, postgres_port=ports.any_free())


def test_it_keeps_what_it_was_given_over_a_kill(closed: Settings) -> None:
    process = postgres.start(closed)
    try:
        assert postgres.start(closed) == process
        engine = create_engine(postgres.sqlalchemy_uri(process.address))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept (word text)"))
            connection.execute(text("INSERT INTO kept VALUES ('schön')"))
        engine.dispose()
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not process.alive, timeout=10)
        again = postgres.start(closed)
        assert again.pid != process.pid
        assert again.address == process.address
        with engine.connect() as connection:
            assert connection.execute(text("SELECT word FROM kept")).scalar() == "schön"
        engine.dispose()
    finally:
        processes.stop(closed, "postgres")
    assert not postgres.answers(process.address)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone changes the user")
def test_root_without_a_way_to_another_user_is_one_clear_line(
    closed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(closed.state))
    with pytest.raises(CovlaError, match=r"does not run as root.* Run covla as another user"):
        postgres.start(closed)
