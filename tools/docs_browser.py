"""Own the look at the built documentation in a real browser: `make docs-browser`.

Every page is opened once, wide and narrow. No resource may fail to load or come from elsewhere, no script may fail, and
nothing may be wider than the screen. Of a few pages pictures are taken, light and dark, for somebody to look at.
"""

import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
PICTURES = ROOT / ".cache" / "docs-pages"
SCREENS = {"wide": (1280, 900), "narrow": (390, 844)}
SHOWN = ("", "how-to/troubleshoot/", "how-to/publish-from-ci/", "reference/helm/", "tutorial/first-steps/")
"""The pages of which pictures are taken."""

RECORDED = 9000
"""The milliseconds after which the recording on the first page is at its end."""

OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = element => element && element !== document.body &&
    (['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  return [...document.querySelectorAll('.md-main *')]
    .filter(element => element.getBoundingClientRect().right > width + 1 && !scrolls(element))
    .map(element => element.tagName + ' ' + element.textContent.trim().slice(0, 60));
}"""


def main() -> int:
    """Look at everything, tell what is wrong, and return the exit code."""
    program = shutil.which("chromium")
    if not program:
        sys.exit("chromium is not here: apt-get install --no-install-recommends chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    pages = sorted(path.parent.relative_to(SITE).as_posix() for path in SITE.rglob("index.html"))
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with opened(browser, *SCREENS["wide"], "light") as tab:
            wrong = [problem for page in pages for problem in look_at(tab, address, page)]
        for page in SHOWN:
            take_pictures(browser, address, page)
        browser.close()
    for problem in wrong:
        print(problem, file=sys.stderr)
    print(f"Looked at {len(pages)} pages; pictures are in {PICTURES.relative_to(ROOT)}", file=sys.stderr)
    return 1 if wrong else 0


@contextmanager
def served() -> Iterator[str]:
    """Serve the site on a free port of the loopback interface, and give its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            """Say nothing: what fails is told by the browser."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Let a browser that goes away go."""

    handler = functools.partial(Handler, directory=SITE)
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def look_at(tab: Page, address: str, page: str) -> list[str]:
    """Open a page wide, make it narrow, and return what is wrong with it."""
    told: list[str] = []
    watch = {
        "pageerror": lambda error: told.append(f"a script fails: {error}"),
        "requestfailed": functools.partial(_note_failure, told),
        "request": functools.partial(_note_foreign, told, address),
        "response": lambda answer: told.append(f"{answer.url}: {answer.status}") if answer.status >= 400 else None,
    }
    for event, note in watch.items():
        tab.on(event, note)
    tab.goto(address + ("" if page == "." else f"{page}/"))
    for screen, (width, height) in SCREENS.items():
        tab.set_viewport_size({"width": width, "height": height})
        told += [f"too wide on a {screen} screen: {element}" for element in tab.evaluate(OVERFLOW)[:3]]
    for event, note in watch.items():
        tab.remove_listener(event, note)
    return [f"{page}: {problem}" for problem in told]


def _note_failure(told: list[str], request: Request) -> None:
    if request.failure != "net::ERR_ABORTED":  # that is the search, which is still loading when the page is left
        told.append(f"{request.url} does not load: {request.failure}")


def _note_foreign(told: list[str], address: str, request: Request) -> None:
    if not request.url.startswith((address, "data:", "blob:")):
        told.append(f"{request.url} comes from a third party")


def take_pictures(browser: Browser, address: str, page: str) -> None:
    """Take pictures of a page, light and dark, wide and narrow."""
    for screen, (width, height) in SCREENS.items():
        for scheme in ("light", "dark"):
            with opened(browser, width, height, scheme) as tab:
                tab.goto(address + page)
                if not page:
                    # A browser lets a picture rest that nobody sees.
                    tab.locator("img[src$='demo.svg']").scroll_into_view_if_needed()
                    tab.wait_for_timeout(RECORDED)
                    tab.evaluate("scrollTo(0, 0)")
                name = page.strip("/").replace("/", "-") or "first-page"
                tab.screenshot(path=PICTURES / f"{name}-{screen}-{scheme}.png", full_page=not page)


@contextmanager
def opened(browser: Browser, width: int, height: int, scheme: Any) -> Iterator[Page]:
    """Open an empty tab of this size."""
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    yield tab
    tab.close()


if __name__ == "__main__":
    sys.exit(main())
