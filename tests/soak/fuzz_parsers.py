"""What atheris runs: `python fuzz_parsers.py post|image|batch CORPUS [libFuzzer options]`.

Any bytes are a value or a PostError, the same one each time. Whatever else comes ends the run, and
libFuzzer writes the bytes into a file.
"""

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["covla", "services"]):
    from covla.errors import PostError
    from covla.posts.image_decoding import decode_image
    from covla.schemas.post import SocialPost, parse_post
    from covla.settings import Settings
    from services.rest.requests import many_posts

SETTINGS = Settings(max_image_pixels=200_000)  # small: what is tried is parsing, not arithmetic


def _post(data: bytes) -> object:
    post = parse_post(data, SETTINGS)
    again = SocialPost.from_json(post.to_json())
    assert again == post, f"{again!r} is not {post!r}"
    return post


def _image(data: bytes) -> object:
    pixels = decode_image(data, SETTINGS)
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert 1 <= max(pixels.shape[:2]) <= 256
    return pixels.tobytes()


def _batch(data: bytes) -> object:
    return [
        str(item) if isinstance(item, PostError) else item for item in many_posts(data, SETTINGS)
    ]


PARSERS: dict[str, Callable[[bytes], object]] = {"post": _post, "image": _image, "batch": _batch}


def outcome(parse: Callable[[bytes], object], data: bytes) -> object:
    """The value, or the words of the error."""
    try:
        return parse(data)
    except PostError as error:
        return error.field, error.code, str(error)


def main() -> None:
    """Run until libFuzzer ends."""
    parse = PARSERS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        first = outcome(parse, data)
        assert outcome(parse, data) == first, f"{data!r} is not the same twice"

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
