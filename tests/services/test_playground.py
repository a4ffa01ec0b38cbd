"""The page for people, in a real browser: type, upload, see; on a phone too."""

import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

from covla.settings import Settings
from services.rest import listen
from services.rest_app import Api
from services.rest_explain import Explanations
from services.rest_queue import PredictionQueue

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture
def api(echo: Any, offline_settings: Settings) -> Iterator[Api]:
    api = Api(offline_settings)
    api.queue = PredictionQueue(lambda: echo, capacity=10)
    api.explanations = Explanations(echo.explain)
    yield api
    api.explanations.close()
    api.queue.close()


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


@pytest.fixture
def address(api: Api) -> Iterator[str]:
    """The application on a real port."""
    server = uvicorn.Server(uvicorn.Config(api.application(), log_config=None))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    from playwright.sync_api import sync_playwright

    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on the PATH; `apt-get install chromium` brings one")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: "Browser", address: str) -> Iterator[Callable[[int, int, str], "Page"]]:
    """`open_page(width, height, colour scheme)`; any word on the console fails the test."""
    complaints: list[str] = []
    contexts = []

    def outside(url: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            complaints.append(url)

    def open_(width: int, height: int, scheme: str) -> "Page":
        size: Any = {"width": width, "height": height}
        context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: outside(request.url))
        page.goto(address)
        page.wait_for_selector("#examples li")
        return page

    yield open_
    for context in contexts:
        context.close()
    # The browser itself mentions each answer that is no 200.
    assert [c for c in complaints if "status of 422" not in c] == []


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
