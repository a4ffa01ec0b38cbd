"""Where the posts of a folder come from, as a model folder keeps it."""

from datetime import UTC, datetime
from pathlib import Path

from covla.cli.posts_source import PostsSource
from covla.code_version import code_version
from covla.posts.folder import write_folder
from covla.posts.synthetic.generate import generate, with_splits
from covla.settings import Settings


def test_a_folder_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state")
    day = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_folder(tmp_path / name, with_splits(generate(20, seed, *day)))
        source = PostsSource(tmp_path / name, None, "train")
        posts, about = source.training(settings, unlabelled=0)
        lineage = source.lineage(posts, about, "none", settings)
        assert (lineage.source, lineage.name, lineage.split) == ("posts folder", name, "train")
        assert (lineage.posts, lineage.teacher) == (len(posts), "none")
        assert lineage.holdout == sum(post.split == "holdout" for post in posts)
        assert lineage.intervals == lineage.files == []
        assert lineage.code_version == code_version()
        digests.append(lineage.digest)
    assert digests[0] == digests[1] != digests[2]
