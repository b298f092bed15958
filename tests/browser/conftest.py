"""A real browser without a window: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ggsa.report.pdf import BROWSERS


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: `make setup` installs it"
    )
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no Chromium on PATH ({', '.join(BROWSERS)}): `apt-get install chromium`")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, request) -> Callable[..., Iterator]:
    """Open a page; fail if it asks for anything or says anything on the console."""
    # Asked for here and not among the arguments: without a browser, none need be rendered.
    pages: dict[str, Path] = request.getfixturevalue("pages")

    @contextmanager
    def open_page(
        kind: str = "article", width: int = 1280, height: int = 900, script: str = "", **options
    ):
        opened_page = pages[kind]
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_offline(True)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        if script:
            page.add_init_script(script)
        page.goto(opened_page.as_uri())
        yield page
        remote = [url for url in asked if url.partition("#")[0] != opened_page.as_uri()]
        context.close()
        assert said == []
        assert [url for url in remote if not url.startswith("data:")] == []

    return open_page
