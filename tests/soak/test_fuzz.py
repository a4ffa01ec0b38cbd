"""Inputs that nobody thought of: bytes for the parsers, requests for REST. What was found is in
the tests beside the code that was mended."""

import base64
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from covla.api_keys import SCOPES, add_key
from covla.posts.probe import probe_post
from covla.schemas.post import SocialPost
from covla.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(900)]
SECONDS = 120
# What schemathesis holds REST against. Not the two that want a schema to say all that makes a post
# good (of text and image one must be there; a batch is answered item by item).
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth"
)


def seeds(parser: str) -> Iterator[bytes]:
    """Good inputs to begin from."""
    post = probe_post()
    if parser == "image":
        assert post.image is not None
        yield base64.b64decode(post.image.data or "")
        for kind in ("JPEG", "GIF", "WEBP"):
            buffer = io.BytesIO()
            Image.effect_noise((24, 16), 50).convert("RGB").save(buffer, kind)
            yield buffer.getvalue()
    else:
        yield post.to_json() if parser == "post" else b"[%b]" % post.to_json()


def words() -> str:
    """A libFuzzer dictionary: the names of a post's fields."""
    schema = SocialPost.model_json_schema()
    names = [*schema["properties"], *schema["$defs"]["Image"]["properties"], "posts"]
    return "".join(f'"\\"{name}\\":"\n' for name in names) + '"2026-05-01T12:00:00Z"\n'


@pytest.mark.parametrize("parser", ["post", "batch", "image"])
def test_any_bytes_are_a_value_or_a_post_error(parser: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds(parser)):
        (corpus / str(number)).write_bytes(seed)
    (tmp_path / "words").write_text(words())
    script = Path(__file__).with_name("fuzz_parsers.py")
    done = subprocess.run(
        [
            *(sys.executable, script, parser, corpus, f"-max_total_time={SECONDS}"),
            *("-timeout=10", "-rss_limit_mb=4096", f"-dict={tmp_path / 'words'}"),
            "-print_final_stats=1",
        ],
        env=Settings(state=tmp_path / "state").environment()
        | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,  # the bytes that break a parser are written here
        capture_output=True,
        text=True,
        check=False,
    )
    found = [path.read_bytes() for path in tmp_path.glob("*-*") if path.is_file()]
    assert done.returncode == 0, f"{found}\n{done.stderr[-4000:]}"
    print([line for line in done.stderr.splitlines() if "number_of_executed_units" in line])


@pytest.fixture
def server(settings: Settings, model_folder: Path) -> Iterator[tuple[str, str]]:
    """Its address and an API key that it wants."""
    secret = add_key(settings, "fuzz", SCOPES, per_minute=1_000_000)[1]
    command = ["serve", "--model", str(model_folder), "--port", "0", "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "covla.cli", *command],
        env=settings.environment() | {"COVLA_API_KEYS": "required"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["address"], secret
        process.terminate()
        assert process.wait(60) == 0


def test_rest_does_what_its_document_says(server: tuple[str, str], tmp_path: Path) -> None:
    address, key = server
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{address}/docs.json"),
            *("--header", f"Authorization: Bearer {key}", "--checks", CHECKS),
            *("--max-examples", "300", "--no-color"),
        ],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    print(done.stdout[-600:])
