"""API keys as they are kept: hashed, for their owner's eyes, whole whoever writes."""

import hmac
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from covla.api_keys import ApiKey, add_key, id_of, keys_file, load_keys, revoke_key
from covla.errors import CovlaError
from covla.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state")


def test_a_key_is_known_by_its_hash_alone(settings: Settings) -> None:
    made, key = add_key(settings, "phone", ["predict", "explain", "predict"], 60)
    other, _ = add_key(settings, "desk", ["explain"])
    assert key.startswith(f"covla_{made.id}_")
    assert len(key.split("_", 2)[2]) == 43  # 32 bytes
    assert id_of(key) == made.id
    assert load_keys(settings) == (made, other)
    assert made.scopes == ("predict", "explain")
    assert made.matches(key)
    assert not made.matches(key[:-1])
    assert not other.matches(key)
    assert key.split("_", 2)[2] not in keys_file(settings).read_text()


def test_only_the_owner_reads_the_file(settings: Settings) -> None:
    for name in ("a", "b"):
        add_key(settings, name, ["predict"])
        assert stat.S_IMODE(keys_file(settings).stat().st_mode) == 0o600
    revoke_key(settings, "a")
    assert stat.S_IMODE(keys_file(settings).stat().st_mode) == 0o600
    left = {path.name for path in settings.state.iterdir()}
    assert left == {"keys.json", ".keys.lock"}  # and no draft


def test_keys_are_compared_in_constant_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, key = add_key(settings, "a", ["predict"])
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def digest(a: Any, b: Any) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr("covla.api_keys.hmac.compare_digest", digest)
    assert made.matches(key)
    assert not made.matches("covla_x_y")
    assert [a for a, _ in compared] == [made.sha256.encode()] * 2


def test_a_revoked_key_stays_and_its_name_is_free(settings: Settings) -> None:
    first, _ = add_key(settings, "phone", ["predict"])
    with pytest.raises(CovlaError, match="there is a key 'phone' already"):
        add_key(settings, "phone", ["predict"])
    revoked = revoke_key(settings, "phone")
    assert revoked.id == first.id
    assert revoked.revoked_at is not None
    second, _ = add_key(settings, "phone", ["predict"])
    assert revoke_key(settings, second.id).name == "phone"
    assert all(key.revoked_at for key in load_keys(settings))
    with pytest.raises(CovlaError, match="no key 'phone' is in use"):
        revoke_key(settings, "phone")


def test_without_keys_nothing_is_made(settings: Settings) -> None:
    assert load_keys(settings) == ()
    with pytest.raises(CovlaError, match="no key 'x' is in use"):
        revoke_key(settings, "x")
    assert not settings.state.exists()


@pytest.mark.parametrize("name", ["", "a b", "-x", "a" * 65, "deadbeef", "a\n", "é"])
def test_a_name_that_cannot_be_used_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(CovlaError, match="cannot be a key's name"):
        add_key(settings, name, ["predict"])


@pytest.mark.parametrize("sent", ["", "covla", "covla_", "x_1_2", "Bearer covla_1_2"])
def test_what_is_no_key_has_no_id(sent: str) -> None:
    assert id_of(sent) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{", "no valid JSON"), ("[]", "no JSON object"), ('{"keys": [{"id": "x"}]}', "keys.0.name")],
)
def test_a_damaged_file_is_one_line(settings: Settings, content: str, reason: str) -> None:
    settings.state.mkdir()
    keys_file(settings).write_text(content)
    with pytest.raises(CovlaError, match=reason):
        load_keys(settings)
    with pytest.raises(CovlaError, match=reason):
        add_key(settings, "a", ["predict"])
    assert keys_file(settings).read_text() == content


def test_a_hash_changed_by_hand_matches_nothing() -> None:
    key = ApiKey("1", "a", "é", ("predict",), None, datetime.now(UTC))
    assert not key.matches("covla_1_x")


def test_processes_that_add_at_a_time_lose_no_key(settings: Settings) -> None:
    probe = (
        "import sys; from covla.api_keys import add_key; from covla.settings import get_settings\n"
        "for i in range(20): add_key(get_settings(), f'{sys.argv[1]}-{i}', ['predict'])"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", probe, str(n)], env=settings.environment())
        for n in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    keys = load_keys(settings)
    assert {key.name for key in keys} == {f"{n}-{i}" for n in range(3) for i in range(20)}
    assert len({key.id for key in keys}) == 60
