"""The posts that a command works on: of a posts folder, or of a time range in the feature store."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from covla.cli.output import log
from covla.code_version import code_version
from covla.posts.dataset import folder_split, from_folder
from covla.posts.folder import Reading
from covla.posts.training_post import TrainingPost
from covla.registry.lineage import Lineage, counts_of
from covla.settings import Settings
from covla.time_range import TimeRange


@dataclass(frozen=True)
class PostsSource:
    """A posts folder and one of its splits, or a time range; one of `folder` and `window` is None.

    A time range has its own split: a fifth of its posts, by content, is the holdout. `as_of` is
    the time at which the lake is read; None for now.
    """

    folder: Path | None
    window: TimeRange | None
    split: str
    as_of: datetime | None = None

    @property
    def about(self) -> dict[str, str]:
        """Where the posts are from, as results and training.json have it."""
        if self.folder is not None:
            return {"posts_folder": self.folder.resolve().name, "split": self.split}
        at = {} if self.as_of is None else {"as_of": self.as_of.isoformat()}
        return {"window": str(self.window), **at}

    def posts(
        self, settings: Settings, *, split: str | None = None, reading: Reading | None = None
    ) -> list[TrainingPost]:
        """Posts of the folder's split (or of another `split`), or all of the time range.

        Raises:
            CovlaError: a folder that cannot be used.
            TooFew: no post in the time range.
        """
        if self.folder is not None:
            return folder_split(self.folder, split or self.split, settings, reading=reading)
        return self._window_posts(settings)[0]

    def training(
        self, settings: Settings, *, unlabelled: int | None
    ) -> tuple[list[TrainingPost], dict[str, str | int]]:
        """Posts to train on with their holdout, and where they are from.

        Args:
            settings: limits of posts, and where the feature store is.
            unlabelled: how many posts without a label to add; None for all.

        Raises:
            CovlaError: a folder that cannot be used, or no labelled post.
            TooFew: no post in the time range.
        """
        if self.folder is not None:
            reading = Reading()
            posts = from_folder(
                self.folder, self.split, settings, unlabelled=unlabelled, reading=reading
            )
            if str(reading):
                log(f"{self.folder}: {reading}")
            return posts, {**self.about, **reading.as_dict()}
        posts, left_out = self._window_posts(settings)
        others = [row for row in posts if row.label is None]
        kept = {id(row) for row in (others if unlabelled is None else others[:unlabelled])}
        return [row for row in posts if row.label is not None or id(row) in kept], {
            **self.about,
            **left_out,
        }

    def lineage(
        self,
        posts: list[TrainingPost],
        about: Mapping[str, str | int],
        teacher: str,
        settings: Settings,
    ) -> Lineage:
        """Where the posts that `training` gave, with what it returned about them, come from.

        Raises:
            OSError: a file of the lake cannot be read.
        """
        counts = {name: n for name, n in about.items() if isinstance(n, int)}
        lineage = Lineage(
            source="posts folder",
            name=str(about.get("posts_folder") or about["window"]),
            split=None if self.folder is None else self.split,
            teacher=teacher,
            code_version=code_version(),
            left_out=counts,
            **counts_of(posts),
        )
        if self.window is None:
            return lineage
        from features.lake_files import files_of_posts

        return replace(
            lineage,
            source="lake",
            intervals=[str(self.window)],
            as_of=None if self.as_of is None else self.as_of.isoformat(),
            files=files_of_posts((row.post_id for row in posts), settings, self.as_of),
        )

    def _window_posts(self, settings: Settings) -> tuple[list[TrainingPost], dict[str, int]]:
        from features.source import load_window

        assert self.window is not None
        posts, left_out = load_window(self.window, settings, self.as_of)
        if counts := ", ".join(f"{n} {why}" for why, n in left_out.items() if n):
            log(f"{self.window}: left out are {counts} posts")
        return posts, left_out
