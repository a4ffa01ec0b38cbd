"""The page in a real browser, with a stand-in for the model."""

import shutil
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from covla.settings import Settings
from services.rest.app import Api
from services.rest.explain import Explanations
from services.rest.queue import PredictionQueue
from services.rest.server import listen

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
def api_keys() -> str:
    """COVLA_API_KEYS of the server; a test may override it."""
    return "auto"


@pytest.fixture
def api(echo: Any, offline_settings: Settings, api_keys: str) -> Iterator[Api]:
    api = Api(offline_settings.model_copy(update={"api_keys": api_keys}))
    api.queue = PredictionQueue(lambda: echo, capacity=10)
    api.explanations = Explanations(echo.explain)
    yield api
    api.explanations.close()
    api.queue.close()


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
def refusals() -> set[int]:
    """Statuses that a test expects on the console: the browser mentions each that is no 200."""
    return {422}


@pytest.fixture
def open_page(
    browser: "Browser", address: str, refusals: set[int]
) -> Iterator[Callable[[int, int, str], "Page"]]:
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
    expected = [f"status of {status}" for status in refusals]
    assert [c for c in complaints if not any(part in c for part in expected)] == []
