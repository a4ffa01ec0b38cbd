"""Posts with and without each modality, and checkpoints that are built once per session."""

import base64
import importlib.util
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image as Pillow

from covla.posts.image_store import BlobStore
from covla.posts.preprocessing import PreparedPost, prepare
from covla.posts.training_post import TrainingPost
from covla.schemas.post import Image, SocialPost
from covla.settings import Settings
from covla.training.progress import quiet


def make_post(post_id: str, text: str, size: tuple[int, int] | None, seed: int = 0) -> SocialPost:
    """A post with an image of that height and width, or without one."""
    image = None
    if size is not None:
        pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
        file = io.BytesIO()
        Pillow.fromarray(pixels).save(file, "PNG")
        image = Image(data=base64.b64encode(file.getvalue()).decode())
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return SocialPost(post_id=post_id, created_at=at, text=text, image=image)


POSTS = [
    make_post("both", "Leg day at the gym #fit", (90, 140)),
    make_post("tall", "coffee", (300, 120), 1),
    make_post("square", "Down by the sea again, and the longest of the three texts", (100, 100), 2),
    make_post("text", "only words, many of them, about the waves", None),
    make_post("words", "few words", None),
    make_post("image", "", (60, 60), 3),
    make_post("copy", "coffee", (300, 120), 1),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    quiet()
    return Settings(state=tmp_path / "state", device="cpu")


@pytest.fixture
def rows() -> list[TrainingPost]:
    return [TrainingPost(post, None) for post in POSTS]


@pytest.fixture
def prepared(settings: Settings) -> list[PreparedPost]:
    blobs = BlobStore(settings)
    return [prepare(post, settings, blobs) for post in POSTS]


@pytest.fixture(scope="session")
def checkpoints() -> ModuleType:
    path = Path(__file__).with_name("checkpoints.py")
    spec = importlib.util.spec_from_file_location("teacher_checkpoints", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def checkpoint(
    tmp_path_factory: pytest.TempPathFactory, checkpoints: ModuleType
) -> Callable[[str], Path]:
    """The folder of a family, built when it is first asked for. Not to be written to."""
    base = tmp_path_factory.mktemp("checkpoints")

    def built(family: str) -> Path:
        folder = base / family
        if not folder.exists():
            quiet()
            checkpoints.FAMILIES[family](folder)
        return folder

    return built
