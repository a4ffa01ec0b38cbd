"""The sliders: the post loses words and its picture gets blurred, and the answer moves along."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageFilter

from covla.schemas.post import SocialPost
from services.rest.app import Api

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
OpenPage = Callable[[int, int, str], "Page"]
TEXT = "Warm croissants and coffee\nat the corner, again #cafe"


@pytest.fixture
def asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> list[SocialPost]:
    """What the model got, in turn."""
    posts: list[SocialPost] = []
    model = api.queue.model
    answer = model.predict

    def predict(items: list[SocialPost]) -> object:
        posts.extend(items)
        return answer(items)

    monkeypatch.setattr(model, "predict", predict)
    return posts


def start(page: "Page", text: str, *, photo: bool) -> None:
    page.get_by_label("Text").fill(text)
    if photo:
        picture = io.BytesIO()
        Image.effect_noise((300, 200), 90).convert("RGB").save(picture, "PNG")
        file = {"name": "a.png", "mimeType": "image/png", "buffer": picture.getvalue()}
        page.set_input_files("#file", file)  # type: ignore[arg-type]
        page.wait_for_selector("#photo:not([hidden])")
    page.get_by_role("button", name="Predict the place").click()
    page.wait_for_selector("#result:not([hidden])")


def sharpness(post: SocialPost) -> float:
    assert post.image is not None
    assert post.image.data is not None
    picture = Image.open(io.BytesIO(base64.b64decode(post.image.data))).convert("L")
    edges = picture.filter(ImageFilter.FIND_EDGES).crop(
        (2, 2, picture.width - 2, picture.height - 2)
    )
    return sum(i * n for i, n in enumerate(edges.histogram())) / (edges.width * edges.height)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_answer_moves_with_the_words_and_the_picture(
    open_page: OpenPage, asked: list[SocialPost], width: int, scheme: str, tmp_path: Path
) -> None:
    page = open_page(width, 740, scheme)
    start(page, TEXT, photo=True)
    likely = page.inner_text("#likely")
    slider = page.get_by_label("Words left out")
    assert slider.input_value() == "0"
    assert not page.locator("#noisy").is_visible()
    slider.focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector("#moved:not(:empty)")
    assert page.inner_text("#fewer-share") == "40\u00a0%"
    assert page.inner_text("#moved").startswith("Without noise: Home, ")
    assert page.inner_text("#likely") != likely
    kept = page.locator("#noisy span").all_text_contents()
    assert asked[-1].text.replace("\r\n", "\n") == "".join(kept).strip()
    assert set(asked[-1].text.split()) < set(TEXT.split())
    gone = page.locator("#noisy s").count()
    assert gone + len(kept) == len(TEXT.split())
    assert 2 <= gone <= 4

    page.get_by_label("Blur of the picture").fill("80")
    page.wait_for_selector("#blurred:not([hidden])")
    for _ in range(50):
        if len(asked) >= 3 and sharpness(asked[-1]) < 0.2 * sharpness(asked[0]):
            break
        page.wait_for_timeout(100)
    assert sharpness(asked[-1]) < 0.2 * sharpness(asked[0])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "noise.png", full_page=True)
    # Another prediction: no noise any more.
    page.get_by_role("button", name="Predict the place").click()
    page.wait_for_selector("#blurred", state="hidden")
    assert slider.input_value() == "0"


def test_a_post_of_words_alone_keeps_one(open_page: OpenPage, asked: list[SocialPost]) -> None:
    page = open_page(1280, 900, "light")
    start(page, TEXT, photo=False)
    assert not page.get_by_label("Blur of the picture").is_visible()
    page.get_by_label("Words left out").fill("100")
    page.wait_for_selector("#moved:not(:empty)")
    assert len(asked[-1].text.split()) == 1
    assert asked[-1].text.strip() in TEXT


def test_an_error_is_said_where_the_sliders_are(open_page: OpenPage) -> None:
    page = open_page(1280, 900, "light")
    start(page, "refuse please", photo=False)
    page.get_by_label("Words left out").fill("60")
    page.wait_for_selector("#moved:not(:empty)")
    assert page.inner_text("#moved") == "image: cannot be decoded"


def test_who_serves_since_when(open_page: OpenPage) -> None:
    page = open_page(360, 740, "dark")
    start(page, TEXT, photo=False)
    page.wait_for_selector("#since:not(:empty)")
    assert re.search(r"^Serving since .*2026", page.inner_text("#since"))
    assert page.inner_text("#version") == "Model version echo-1"
