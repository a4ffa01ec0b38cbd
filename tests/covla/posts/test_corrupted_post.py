from datetime import UTC, datetime

from covla.posts.corrupted_post import corrupt, corrupt_all
from covla.posts.preprocessing import PreparedPost
from covla.posts.synthetic import generate
from covla.settings import Settings


def prepared_posts(n: int, settings: Settings) -> list[PreparedPost]:
    from covla.posts.image_store import BlobStore
    from covla.posts.preprocessing import prepare

    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    return [prepare(i.post, settings, BlobStore(settings)) for i, _ in generate(n, 3, start, end)]


def test_noise_changes_one_side_and_what_is_said_of_it(offline_settings: Settings) -> None:
    items = prepared_posts(40, offline_settings)
    changed = {"text": 0, "image": 0}
    for item, other in zip(items, items[1:] + items[:1], strict=True):
        for side in changed:
            noisy = corrupt(item, side, 0.5, 0, other)
            assert noisy.text or noisy.image is not None
            again = corrupt(item, side, 0.5, 0, other)
            assert (again.text, again.image_hash) == (noisy.text, noisy.image_hash)
            kept = "image_hash" if side == "text" else "text_hash"
            assert getattr(noisy, kept) == getattr(item, kept)
            lost = f"{side}_hash"
            changed[side] += getattr(noisy, lost) != getattr(item, lost)
            assert (f"{side}_missing" in noisy.flags) == (getattr(noisy, lost) == "")
    assert min(changed.values()) > 20


def test_each_post_is_lent_what_the_next_one_has(offline_settings: Settings) -> None:
    items = prepared_posts(12, offline_settings)
    noisy = corrupt_all(items, "text", 1.0, 0, "other")
    lenders = items[1:] + items[:1]
    lent = [
        (new.text, lender.text)
        for item, new, lender in zip(items, noisy, lenders, strict=True)
        if item.text and lender.text
    ]
    assert len(lent) > 6
    assert all(new == lenders_text for new, lenders_text in lent)
    # Without a kind each post has its own, which the seed decides.
    free = corrupt_all(items, "image", 0.5, 0)
    again = [corrupt(i, "image", 0.5, 0, o) for i, o in zip(items, lenders, strict=True)]
    assert [item.image_hash for item in free] == [item.image_hash for item in again]
    assert corrupt_all([], "text", 0.5, 0) == []
