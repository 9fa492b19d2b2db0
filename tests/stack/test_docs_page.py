"""The page at ``/docs`` in a real browser, on the bundled stack: people log in and try things out.

With ``SCREENSHOT=docs/api.png`` in the environment the README's picture is taken again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values

from .conftest import ROOT, UNTRACKED, focushub
from .local import Local

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (tox -e browser)")
expect = sync_api.expect

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# What a browser does of its own accord would be requests to other origins, too.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH, HEIGHT = 1400, 1000


class Watched:
    """A page and what it did: every request, every answer, every complaint."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[Any] = []
        self.complaints: list[str] = []
        page.on("request", self._ask)
        page.on("requestfailed", lambda request: self.complaints.append(f"{request.url}: {request.failure}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def _ask(self, request: Any) -> None:
        self.requests.append(request)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location})")

    def origins(self) -> set[str]:
        """Whom the page asked; what it has in itself (``data:``) is no question."""
        found = {urlsplit(request.url) for request in self.requests}
        return {f"{url.scheme}://{url.netloc}" for url in found if url.scheme != "data"}

    def asked(self, method: str, path: str) -> list[Any]:
        return [each for each in self.requests if (each.method, urlsplit(each.url).path) == (method, path)]

    def log_in(self, password: str) -> None:
        self.page.get_by_label("email").fill("demo@example.com")
        self.page.get_by_label("password").fill(password)
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#person")).to_contain_text("demo@example.com")

    def operation(self, method: str, path: str) -> Any:
        """The operation's box, opened."""
        address = self.page.locator(f'[data-path="{path}"]')
        box = self.page.locator(f".opblock-{method.lower()}", has=address)
        box.locator(".opblock-summary-control").click()
        return box

    def try_out(self, method: str, path: str, body: str | None = None) -> Any:
        """The operation's box with the answer in it."""
        box = self.operation(method, path)
        box.get_by_role("button", name="Try it out").click()
        if body is not None:
            box.locator("textarea.body-param__text").fill(body)
        box.get_by_role("button", name="Execute").click()
        expect(box.locator(".live-responses-table")).to_be_visible()
        return box


def status(box: Any) -> str:
    """The status that an operation answered."""
    found = box.locator(".live-responses-table .response-col_status").nth(1).inner_text()
    return str(found).split()[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled example, in a copy."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here (apt-get install chromium; or CHROMIUM=/path/to/it)")
    root = tmp_path_factory.mktemp("stacks") / "focushub"
    shutil.copytree(ROOT / "examples" / "focushub", root, ignore=UNTRACKED)
    focushub("prepare", str(root))
    return root


@pytest.fixture(scope="module")
def password(root: Path) -> str:
    return str(dotenv_values(root / ".env")["DEMO_PASSWORD"])


@pytest.fixture(scope="module")
def browser(root: Path) -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture
def opened(shop: Local, browser: Any) -> Iterator[Watched]:
    """The stack's page, loaded."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    watched = Watched(page)
    page.goto(f"{shop.url}/docs")
    expect(page.locator(".opblock-tag").first).to_be_visible()
    yield watched
    context.close()


def test_people_log_in_and_try_it_out_and_nobody_else_is_asked(
    shop: Local, opened: Watched, password: str
) -> None:
    page = opened.page
    assert page.title() == "focushub: API"
    assert page.locator("h2.service").all_inner_texts() == ["GATEWAY", "AUTH", "TASK", "FOCUS", "HABIT"]
    opened.log_in(password)
    box = opened.try_out("POST", "/v1/projects", '{"name": "Spring cleaning", "color": "#0b7a75"}')
    assert status(box) == "201"
    expect(box.locator(".live-responses-table")).to_contain_text("Spring cleaning")
    assert opened.origins() == {shop.url}
    assert opened.complaints == []
    if picture := os.environ.get("SCREENSHOT"):
        _picture(page, box, ROOT / picture)


def _picture(page: Any, box: Any, file: Path) -> None:
    """What was tried out, from its head to its answer."""
    page.get_by_placeholder("Filter").fill("projects")
    expect(page.locator("h2.service")).to_have_count(1)
    page.get_by_placeholder("Filter").blur()
    bottom = box.locator(".live-responses-table").evaluate(
        "node => node.getBoundingClientRect().bottom + scrollY"
    )
    page.set_viewport_size({"width": WIDTH, "height": int(bottom) + 10})
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.screenshot(path=file, animations="disabled")


def test_a_token_that_was_asked_for_by_trying_the_login_out_is_used(opened: Watched, password: str) -> None:
    body = f'{{"email": "demo@example.com", "password": "{password}"}}'
    assert status(opened.try_out("POST", "/v1/auth/login", body)) == "200"
    assert status(opened.try_out("GET", "/v1/me")) == "200"
    assert opened.complaints == []


def test_a_token_is_nowhere_but_in_the_pages_memory(opened: Watched, password: str) -> None:
    opened.log_in(password)
    kept = opened.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]
    opened.page.reload()
    expect(opened.page.get_by_role("button", name="Log in")).to_be_visible()
    assert status(opened.try_out("GET", "/v1/me")) == "401"


def test_logging_out_forgets_it(opened: Watched, password: str) -> None:
    opened.log_in(password)
    opened.page.get_by_role("button", name="Log out").click()
    expect(opened.page.get_by_role("button", name="Log in")).to_be_visible()
    assert status(opened.try_out("GET", "/v1/me")) == "401"


def test_a_wrong_password_says_so(opened: Watched) -> None:
    opened.page.get_by_label("email").fill("demo@example.com")
    opened.page.get_by_label("password").fill("not this one")
    opened.page.get_by_role("button", name="Log in").click()
    expect(opened.page.get_by_role("alert")).to_contain_text("Not logged in: ")


def test_making_an_account_is_not_taken_for_the_login(opened: Watched, password: str) -> None:
    """Though it takes a password, answers tokens, and comes first."""

    def with_accounts(route: Any) -> None:
        reply = route.fetch()
        document = reply.json()
        accounts = {"post": {**document["paths"]["/v1/auth/login"]["post"], "operationId": "accounts"}}
        route.fulfill(
            response=reply, json={**document, "paths": {"/v1/accounts": accounts, **document["paths"]}}
        )

    opened.page.route("**/openapi.json", with_accounts)
    opened.page.reload()
    opened.log_in(password)
    assert (len(opened.asked("POST", "/v1/auth/login")), opened.asked("POST", "/v1/accounts")) == (1, [])


def test_a_session_that_expires_is_renewed_by_what_is_tried_out_next(opened: Watched, password: str) -> None:
    opened.page.clock.install()
    opened.log_in(password)
    opened.page.clock.fast_forward("15:00")
    assert status(opened.try_out("GET", "/v1/me")) == "200"
    assert len(opened.asked("POST", "/v1/auth/token/refresh")) == 1
    first, second = (each.response().json() for each in opened.requests if each.method == "POST")
    sent = opened.asked("GET", "/v1/me")[0].headers["authorization"]
    assert first["access_token"] != second["access_token"]
    assert sent == f"Bearer {second['access_token']}"


def test_a_service_that_is_down_is_named_until_it_is_back(shop: Local, opened: Watched) -> None:
    page = opened.page
    expect(page.locator("#missing")).to_be_hidden()
    with shop.frozen("habit-service"):
        page.reload()
        expect(page.locator("#missing")).to_contain_text("Not answering, and so not described: habit.")
        expect(page.locator(".opblock-tag", has_text="projects")).to_be_visible()
        assert page.locator("h2.service").all_inner_texts() == ["GATEWAY", "AUTH", "TASK", "FOCUS"]
    shop.wait_for(shop.is_well, 20)
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("h2.service").last).to_have_text("habit")
    expect(page.locator("#missing")).to_be_hidden()


def test_a_filter_keeps_the_headings_of_what_is_left(opened: Watched) -> None:
    opened.page.get_by_placeholder("Filter").fill("tasks")
    expect(opened.page.locator("h2.service")).to_have_count(1)
    assert opened.page.locator("h2.service").all_inner_texts() == ["TASK"]


def test_it_can_be_used_by_keyboard(opened: Watched, password: str) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the operations")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("email")).to_be_focused()
    opened.log_in(password)
    summary = page.locator(".opblock-get", has=page.locator('[data-path="/v1/me"]'))
    control = summary.locator(".opblock-summary-control")
    control.focus()
    page.keyboard.press("Enter")
    expect(control).to_have_attribute("aria-expanded", "true")


def test_it_is_dark_where_people_want_that(opened: Watched) -> None:
    body = opened.page.locator("body")
    expect(body).to_have_css("background-color", "rgb(255, 255, 255)")
    opened.page.emulate_media(color_scheme="dark")
    expect(body).to_have_css("background-color", "rgb(28, 32, 34)")


def test_a_services_own_page_takes_a_token_that_is_given(shop: Local, opened: Watched, password: str) -> None:
    """A single service has no login of its own: Swagger UI's dialog does it."""
    opened.log_in(password)
    [login] = opened.asked("POST", "/v1/auth/login")
    token = login.response().json()["access_token"]
    page = opened.page
    page.goto(f"{shop.parts()['task-service'].url}/docs")
    assert page.title() == "task-service: API"
    expect(page.locator("#login")).to_be_hidden()
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").fill(token)
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").last.click()
    assert status(opened.try_out("GET", "/v1/projects")) == "200"
    assert opened.complaints == []
