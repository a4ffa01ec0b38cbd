"""Images go by when a post with them last came."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from covla.settings import Settings
from services.housekeeping.images import expire_images
from tests.services.housekeeping.conftest import add_post

OLD = datetime(2025, 1, 1, tzinfo=UTC)
BEFORE = OLD + timedelta(days=1)


def test_an_image_that_was_encoded_again_goes_with_its_post(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    gone = add_post(settings, 1, OLD, image=b"one", again=BEFORE)
    stays = add_post(settings, 2, OLD, image=b"two", written=BEFORE, again=BEFORE)
    assert gone is not None
    assert stays is not None
    expire_images(settings, BEFORE)
    assert (gone.exists(), stays.exists()) == (False, True)
