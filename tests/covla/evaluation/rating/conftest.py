"""A posts folder with names, places and authors that a rater must not see."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from covla.evaluation.rating.sheet import write_sheet
from covla.posts.folder import FolderPost, write_folder
from covla.posts.taxonomy import load_taxonomy
from covla.schemas.post import Image as Inline
from covla.schemas.post import SocialPost
from covla.settings import Settings

START = datetime(2026, 3, 1, tzinfo=UTC)
LABELS = ["home", "beach_coast", "shop"]


def picture(number: int, secret: str) -> bytes:
    """A JPEG whose metadata tells."""
    image = Image.new("RGB", (800, 480), (number * 9 % 256, 80, 200))
    exif = Image.Exif()
    exif[0x010E] = secret  # ImageDescription
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, comment=secret.encode())
    return file.getvalue()


@dataclass(frozen=True)
class Rated:
    """A folder of posts and the sheet that was drawn from it."""

    posts: Path
    out: Path

    @property
    def csv(self) -> Path:
        return self.out / "raters" / "sheet.csv"

    @property
    def key(self) -> Path:
        return self.out / "key.json"


Draw = Callable[..., Rated]


@pytest.fixture(scope="session")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """`draw(prefix=..., shift=...)`: posts whose labels are shifted, and a sheet of them."""

    def made(
        *,
        prefix: str = "id",
        author: str = "author",
        secret: str = "secret",
        shift: int = 0,
        n: int = 12,
        seed: int = 3,
        split: str = "val",
    ) -> Rated:
        root = tmp_path_factory.mktemp("rated")
        rows: list[tuple[FolderPost, bytes | None]] = []
        for i in range(20):
            label = LABELS[(i + shift) % 3]
            content = picture(i, secret) if i % 3 or not i % 4 else None
            post = SocialPost(
                post_id=f"{prefix}-{label}-{i}",
                author_id=author,
                created_at=START + timedelta(hours=i + shift),
                text=f"=SUM(1) and words {i}\n</script><b>" if i % 4 else "",
                lang="en",
                image=Inline(data="") if content else None,
            )
            rows.append((FolderPost(post, label, "val", f"{author}-pair"), content))
        posts, out = root / "posts", root / "out"
        write_folder(posts, rows)
        write_sheet(posts, split, n, seed, out, load_taxonomy(), Settings(state=root / "state"))
        return Rated(posts, out)

    return made


@pytest.fixture(scope="session")
def rated(draw: Draw) -> Rated:
    """A sheet of twelve posts that nobody filled yet; not to be written to."""
    return draw()
