"""The page for people, in a real browser: type, upload, see; on a phone too."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from covla.api_keys import add_key
from covla.settings import Settings
from services.rest.app import Api

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_page_is_self_contained_and_held_to_it(api: Api) -> None:
    with TestClient(api.application()) as client:
        response = client.get("/")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    without_link_names = response.text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://", without_link_names)


def test_examples_are_synthetic_posts_that_the_service_takes(api: Api) -> None:
    with TestClient(api.application()) as client:
        examples = client.get("/examples").json()
        assert len(examples) == 6
        assert {bool(example["image"]) for example in examples} == {True, False}
        for example in examples:
            assert client.post("/predict", data={"text": example["text"] or "x"}).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "height", "scheme"), [(1280, 900, "light"), (360, 740, "dark")], ids=["desk", "phone"]
)
def test_type_upload_and_see(
    open_page: Callable[[int, int, str], "Page"],
    tmp_path: Path,
    width: int,
    height: int,
    scheme: str,
) -> None:
    page = open_page(width, height, scheme)
    photo = io.BytesIO()
    Image.effect_noise((1800, 1400), 90).convert("RGB").save(photo, "JPEG", quality=95)
    assert len(photo.getvalue()) > 700_000  # a phone's photo is larger than a post may be
    page.get_by_label("Text").fill("Warm croissants")
    page.set_input_files(
        "#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    )
    page.wait_for_selector("#photo:not([hidden])")
    page.get_by_role("button", name="Predict the place").click()
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#place") == "Home"
    assert page.locator("#bars li").count() == 2
    assert page.inner_text("#bars li >> nth=0").split("\n")[0] == "Home"
    assert page.get_attribute("#gate", "aria-label") == (
        "The model went by the text for 25\u00a0% and by the picture for 75\u00a0%"
    )
    assert "echo-1" in page.inner_text("#version")
    assert page.inner_text("#said")  # what a screen reader says
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "answer.png", full_page=True)
    assert (tmp_path / "answer.png").stat().st_size > 10_000


def _hottest(page: "Page") -> int:
    """Which region of the image is drawn warmest."""
    script = """() => {
        const canvas = document.querySelector("#looks canvas");
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
        copy.drawImage(canvas, 0, 0);
        const all = copy.getImageData(0, 0, canvas.width, canvas.height).data;
        const alpha = all.filter((_, i) => i % 4 === 3);
        return alpha.indexOf(Math.max(...alpha));
    }"""
    return int(page.evaluate(script))


@pytest.mark.slow
def test_why_shows_where_words_look_and_what_each_part_adds(
    open_page: Callable[[int, int, str], "Page"], echo: Any
) -> None:
    page = open_page(390, 844, "light")
    photo = io.BytesIO()
    Image.new("RGB", (90, 60), (20, 120, 40)).save(photo, "PNG")
    page.get_by_label("Text").fill("Warm\ncroissants")
    page.set_input_files(
        "#file", {"name": "a.png", "mimeType": "image/png", "buffer": photo.getvalue()}
    )
    page.wait_for_selector("#photo:not([hidden])")
    page.get_by_role("button", name="Predict the place").click()
    page.get_by_role("button", name="Why this place?").click()
    page.wait_for_selector("#explained:not([hidden])")
    assert _hottest(page) == 48
    picture = page.get_by_role("img", name="The picture. All words together look most")
    assert "at the bottom right: 100" in str(picture.get_attribute("aria-label"))
    box, canvas = (page.locator(f"#looks {tag}").bounding_box() for tag in ("img", "canvas"))
    assert box == canvas
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(1.5, abs=0.02)
    word = page.get_by_role("button", name="Warm", exact=True)
    word.focus()
    page.keyboard.press("Enter")
    assert word.get_attribute("aria-pressed") == "true"
    assert _hottest(page) == 0
    assert page.inner_text("figcaption").startswith("“Warm” looks most at the top left")
    parts = [" ".join(row.split()) for row in page.locator("#parts li").all_inner_texts()]
    assert parts == ["Text without it: shop +20.0", "Picture -10.0", "Hour 12:00 UTC +1.0"]
    near = page.inner_text("#near")
    assert near.startswith("Labelled posts like it say: by both ")
    assert "(75" in near.split(", by text ")[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Another post: what was explained goes, and says so where there is nothing to look at.
    page.get_by_role("button", name="Remove photo").click()
    page.get_by_role("button", name="Predict the place").click()
    page.wait_for_selector("#explained", state="hidden")
    page.get_by_role("button", name="Why this place?").click()
    page.wait_for_selector("#explained:not([hidden])")
    assert not page.locator("#looks").is_visible()
    assert "nothing to attend to" in page.inner_text("#notes")


@pytest.mark.slow
def test_errors_are_plain_and_the_keyboard_is_enough(
    open_page: Callable[[int, int, str], "Page"],
) -> None:
    page = open_page(1280, 900, "light")
    page.get_by_label("Text").focus()
    page.keyboard.press("Tab")  # the file input
    assert page.evaluate("document.activeElement.id") == "file"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "go"
    page.get_by_label("Text").fill("refuse")
    page.keyboard.press("Control+Enter")
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "image: cannot be decoded"
    page.locator("#examples button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert not alert.is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("api_keys", ["required"])
@pytest.mark.parametrize("width", [1280, 360], ids=["desk", "phone"])
def test_a_key_is_asked_for_where_the_server_wants_one(
    open_page: Callable[[int, int, str], "Page"],
    offline_settings: Settings,
    refusals: set[int],
    width: int,
) -> None:
    refusals |= {401, 403}
    _, key = add_key(offline_settings, "page", ["predict"])
    page = open_page(width, 740, "dark")
    field = page.get_by_label("API key")
    assert not field.is_visible()
    photo = io.BytesIO()
    Image.effect_noise((640, 480), 90).convert("RGB").save(photo, "JPEG", quality=95)
    page.set_input_files(
        "#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo.getvalue()}
    )
    page.wait_for_selector("#photo:not([hidden])")
    page.get_by_label("Text").fill("Warm croissants")
    page.keyboard.press("Control+Enter")
    field.wait_for()
    alert = page.get_by_role("alert")
    assert alert.inner_text().startswith("this server asks for an API key")
    assert page.evaluate("document.activeElement.id") == "key"
    box = field.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 740  # in sight, on a phone too
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.keyboard.type("covla_ключ")
    page.keyboard.press("Enter")
    page.get_by_text("this API key is not known here").wait_for()
    page.keyboard.press("Control+A")
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#place") == "Home"
    assert not alert.is_visible()
    # This key is for predictions alone, and the page says so.
    page.get_by_role("button", name="Why this place?").click()
    page.wait_for_selector("#unexplained:not([hidden])")
    assert page.inner_text("#unexplained") == "the API key 'page' is not for /explain"
