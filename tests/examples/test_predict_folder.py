"""The client as people meet it, against a really served model that asks for a key."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from covla.api_keys import add_key, revoke_key
from covla.client import AsyncClient, Client, NotAllowed, PostError, TryLater
from covla.settings import Settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OPTIONS = ("--port", "0", "--json")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state=tmp_path_factory.mktemp("client"), api_keys="required")


@pytest.fixture(scope="module")
def address(settings: Settings, model_folder: Path) -> Iterator[str]:
    server = subprocess.Popen(
        [*(sys.executable, "-m", "covla.cli", "serve", "--model", str(model_folder)), *OPTIONS],
        env=settings.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield str(json.loads(server.stdout.readline())["address"])
    finally:
        server.terminate()
        server.communicate(timeout=60)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, colour in (("a_sunny_beach.jpg", "gold"), ("office.png", "grey")):
        Image.new("RGB", (80, 60), colour).save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG")
    (folder / "notes.txt").write_text("no image")
    return folder


def _run(arguments: list[str], key: str, folder: Path, address: str) -> Any:
    variables = {"COVLA_API_KEY": key, "COVLA_REST_PORT": address.rpartition(":")[2]}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | variables | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_example_has_a_line_for_each_image(
    settings: Settings, address: str, images: Path
) -> None:
    _, key = add_key(settings, "example", ["predict"])
    script = str(ROOT / "examples" / "predict_folder.py")
    done = _run([script, str(images), address], key, images, address)
    assert done.returncode == 4, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["image"] for row in rows] == ["a_sunny_beach.jpg", "broken.png", "office.png"]
    assert rows[1]["code"] == "unreadable_image"
    assert all(0 < row["probability"] <= 1 for row in (rows[0], rows[2]))


def test_the_lines_of_the_how_to_run(settings: Settings, address: str, images: Path) -> None:
    page = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = [block for block in blocks if "covla.client" in block]
    assert len(code.splitlines()) <= 20
    (images / "office.png").rename(images / "photo.png")
    _, key = add_key(settings, "how-to", ["predict", "explain"])
    done = _run(["-c", code], key, images, address)
    assert done.returncode == 0, done.stderr
    assert "image" in done.stdout


def test_both_clients_get_what_the_service_gives(
    settings: Settings, address: str, images: Path
) -> None:
    _, key = add_key(settings, "both", ["predict", "explain"])
    post = {"post_id": "p-1", "text": "Warm croissants", "image": images / "office.png"}
    many = [post | {"post_id": f"p-{i}", "image": None} for i in range(40)]
    many[35] = {"post_id": "p-35", "image": b"no image"}
    with Client(address, api_key=key) as client:
        one, why, each = client.predict(post), client.explain(post), [*client.predict_many(many)]
        with pytest.raises(PostError, match="^image: cannot be decoded") as caught:
            client.predict({"image": b"no image"})
    assert caught.value.code == "unreadable_image"
    assert one.modalities == ["text", "image"]
    assert why.prediction.probabilities == one.probabilities
    assert why.explanation.attention is not None
    ids = [None if isinstance(result, PostError) else result.post_id for result in each]
    assert ids == [None if i == 35 else f"p-{i}" for i in range(40)]

    async def again() -> None:
        async with AsyncClient(address, api_key=key) as client:
            answers = await asyncio.gather(*(client.predict(post) for _ in range(4)))
            assert {answer.label for answer in answers} == {one.label}
            assert (await client.explain(post)).prediction.label == one.label
            second = [result async for result in client.predict_many(many)]
            assert [str(result) for result in second if isinstance(result, PostError)] == [
                str(each[35])
            ]

    asyncio.run(again())


def test_keys_and_limits_as_the_service_has_them(settings: Settings, address: str) -> None:
    _, key = add_key(settings, "narrow", ["predict"], per_minute=1)
    with Client(address) as keyless, pytest.raises(NotAllowed) as none:
        keyless.predict({"text": "x"})
    assert none.value.code == "no_key"
    with Client(address, api_key=key, deadline=5) as client:
        with pytest.raises(NotAllowed) as scope:
            client.explain({"text": "x"})
        assert scope.value.code == "missing_scope"
        assert client.predict({"text": "x"}).post_id.startswith("client-")
        with pytest.raises(TryLater) as limit:
            client.predict({"text": "x"})
        assert limit.value.status == 429
        assert 50 < (limit.value.retry_after or 0) <= 60
        revoke_key(settings, "narrow")
        with pytest.raises(NotAllowed) as revoked:
            client.predict({"text": "x"})
    assert revoked.value.code == "revoked_key"
