"""Which posts show the same content: reposts, cross-posts, re-encoded and slightly cut images.

Every split goes by these groups, so that no post is judged on what its own copy taught. What is
caught, and what is not, was measured: docs/adr/0017-splits-by-content.md.
"""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from covla.arrays import Array
from covla.errors import PostError
from covla.posts.image_decoding import decode_base64, decode_image
from covla.posts.image_store import BlobStore
from covla.schemas.post import SocialPost
from covla.settings import Settings
from covla.words import ADDRESS

LEAST_TEXT = 25  # characters; "good morning" is in many unrelated posts
# Hamming distances of 64 bits, both at most. Of 16 million pairs of unrelated photos none has both.
PHASH, DHASH = 8, 12
FLAT = 4.0  # standard deviation of the grey levels; less has no shape to compare
COMMON = 10  # posts; what more than these and more than half of all posts share tells nothing
SIDE = 128  # pixels of the image that is hashed
# Cuts (left, top, right, bottom) under which an image is looked for.
CUTS = (
    (0, 0, 0, 0), (0.05,) * 4, (0.1,) * 4, (0.1, 0, 0, 0), (0, 0.1, 0, 0), (0, 0, 0.1, 0),
    (0, 0, 0, 0.1), (0.1, 0, 0.1, 0), (0, 0.1, 0, 0.1),
)  # fmt: skip
LOOKS = len(CUTS) + 1  # and mirrored


@dataclass(frozen=True, eq=False)
class Content:
    """What is known of a post's content.

    whole: hash of text and image together. text: hash of the normalised text; "" when it is too
    short to tell posts apart. image: SHA-256 of the image's bytes; "" when there is none, or when
    it is flat. looks: uint64, `LOOKS` x 2, perceptual and difference hash of the image as it is,
    cut, and mirrored; None when there is no image to look at.
    """

    whole: str
    text: str
    image: str
    looks: Array | None


def normal_text(text: str) -> str:
    """`text` without what a repost changes: web addresses, case, blanks, Unicode spelling."""
    plain = unicodedata.normalize("NFKC", ADDRESS.sub(" ", text)).casefold()
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())


def looks_of(pixels: Array) -> Array | None:
    """uint8 RGB, H x W x 3, to uint64, `LOOKS` x 2; None for a flat image."""
    whole = _grey(pixels)
    if whole is None:
        return None
    cuts = [[round(SIDE * fraction) for fraction in cut] for cut in CUTS]
    crops = [whole.crop((a, b, SIDE - c, SIDE - d)) for a, b, c, d in cuts]
    return _hashes([*crops, ImageOps.mirror(whole)])


def perceptual_hash(pixels: Array) -> bytes | None:
    """uint8 RGB, H x W x 3, to the 16 bytes of its perceptual and difference hash, the image
    as it is; None for a flat image."""
    whole = _grey(pixels)
    return None if whole is None else _hashes([whole]).tobytes()


def _grey(pixels: Array) -> Pillow.Image | None:
    whole = Pillow.fromarray(pixels).convert("L").resize((SIDE, SIDE), Pillow.Resampling.LANCZOS)
    return None if np.asarray(whole).std() < FLAT else whole


def _hashes(images: Sequence[Pillow.Image]) -> Array:
    import imagehash

    hashes = [[kind(image).hash for kind in (imagehash.phash, imagehash.dhash)] for image in images]
    bits = np.asarray(hashes).reshape(len(images), 2, 64)
    return np.packbits(bits, axis=-1).view(np.uint64)[..., 0]


def contents_of(posts: Iterable[SocialPost], settings: Settings) -> list[Content]:
    """Look at every post. An image that cannot be read is known by its bytes or address alone.

    Raises:
        OSError: the image store cannot be read.
    """
    blobs = BlobStore(settings)
    return [_content(post, settings, blobs) for post in posts]


def _content(post: SocialPost, settings: Settings, blobs: BlobStore) -> Content:
    text = normal_text(post.text)
    image, looks = "", None
    if post.image is not None:
        source = post.image.data or post.image.uri or ""
        image = hashlib.sha256(source.encode()).hexdigest()
        try:
            if post.image.uri is not None:
                content = blobs.read(post.image.uri, derivative=True)
                image = post.image.uri.rsplit("/", 1)[-1]
            else:
                content = decode_base64(source)
                image = hashlib.sha256(content).hexdigest()
            looks = looks_of(decode_image(content, settings))
        except PostError:
            pass  # whoever prepares the post says what is wrong with it
    return Content(
        _hash(f"{text}\0{image}"),
        _hash(text) if len(text) >= LEAST_TEXT else "",
        image if looks is not None else "",
        looks,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def groups_of(contents: Sequence[Content]) -> list[str]:
    """The group of each post: the smallest `whole` of those that are joined with it.

    Posts are joined that have an equal text, an equal image or similar images, and so
    are those that are joined with the same third. A text or an image that most posts have, such
    as a frame or a placeholder, joins none.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(contents)

    def components(pairs: list[tuple[int, int]]) -> Array:
        rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        graph = coo_matrix((np.ones(len(rows)), (rows[:, 0], rows[:, 1])), shape=(n, n))
        names: Array = connected_components(graph, directed=False)[1]
        return names

    image_groups = components(_equal([c.image for c in contents]) + _similar_images(contents))
    seen = [int(group) if c.image else "" for group, c in zip(image_groups, contents, strict=True)]
    few = max(COMMON, n // 2)
    joined = components(
        _equal([c.whole for c in contents])
        + _equal([c.text for c in contents], few)
        + _equal(seen, few)
    )
    names: dict[int, str] = {}
    for group, content in zip(joined.tolist(), contents, strict=True):
        names[group] = min(names.get(group, content.whole), content.whole)
    return [names[group] for group in joined.tolist()]


def _equal(keys: Sequence[Hashable], most: int | None = None) -> list[tuple[int, int]]:
    """Pairs that link all rows of one key, unless it is empty or has more than `most` rows."""
    rows = defaultdict(list)
    for i, key in enumerate(keys):
        if key != "":
            rows[key].append(i)
    chosen = (same for same in rows.values() if most is None or len(same) <= most)
    return [(same[0], other) for same in chosen for other in same[1:]]


def _similar_images(contents: Sequence[Content]) -> list[tuple[int, int]]:
    """Pairs of similar images: one as it is, the other as it is, cut or mirrored."""
    first = {c.image: i for i, c in reversed(list(enumerate(contents))) if c.looks is not None}
    rows = sorted(first.values())
    if len(rows) < 2:
        return []
    looks = np.stack([looks for i in rows if (looks := contents[i].looks) is not None])
    return [(rows[a], rows[b]) for a, b in similar_pairs(looks)]


def similar_pairs(looks: Array, chunk: int = 4_000_000) -> list[tuple[int, int]]:
    """Pairs (a, b) of which a look of `a` is similar to the first look of `b`, a != b.

    Args:
        looks: uint64, N x L x 2, perceptual and difference hash of L looks of each image.
        chunk: pairs that are compared at once, which bounds the memory.
    """
    pairs: list[tuple[int, int]] = []
    step = max(1, chunk // max(len(looks), 1))
    for start in range(0, len(looks), step):
        part = looks[start : start + step]
        for k in range(looks.shape[1]):
            similar = np.bitwise_count(part[:, k, 0, None] ^ looks[None, :, 0, 0]) <= PHASH
            a, b = np.nonzero(similar)
            sure = np.bitwise_count(part[a, k, 1] ^ looks[b, 0, 1]) <= DHASH
            a, b = a[sure] + start, b[sure]
            pairs += zip(a[a != b].tolist(), b[a != b].tolist(), strict=True)
    return pairs
