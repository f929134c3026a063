"""Signing in: the token works once, and what it is exchanged for is of no use to other sites and scripts."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from asgi_calls import HOST, Answer, ask
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from studio_serving import PATIENCE_S, Serve, Studio, serving

from aaow_storage import StorageAdapter
from aaow_storage_studio import StudioSettings, studio_app
from aaow_storage_studio._security import sign_in

TOKEN = "the token of the tests"
QUERY = "token=the+token+of+the+tests"


async def leave_empty(_: StorageAdapter) -> None: ...


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with serving("memory://", StudioSettings(), leave_empty) as empty:
        yield empty


class Asked:
    """An application that nobody has signed in to yet."""

    def __init__(self, studio: Studio, **settings: Any) -> None:
        self._studio = studio
        self.app: Any = studio_app(studio.storage, StudioSettings(token=TOKEN, **settings))

    def __call__(self, path: str = "/sessions", **request: Any) -> Answer:
        answer: Answer = self._studio.do(lambda _: ask(self.app, path, **request))
        return answer

    def cookie(self, **request: Any) -> dict[str, str]:
        """Sign in; return the header with the cookie."""
        set_cookie = self("/", query=QUERY, **request).header("set-cookie")
        assert set_cookie is not None
        return {"cookie": set_cookie.partition(";")[0]}


@pytest.fixture
def asked(studio: Studio) -> Asked:
    return Asked(studio)


@pytest.mark.parametrize(
    "path", ["/", "/sessions", "/sessions.json", "/approvals", "/live", "/static/studio.css", "/nowhere", "/docs"]
)
@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"query": "token="},
        {"query": "token=the+token+of+the+test"},
        {"query": "token=The+Token+of+the+tests"},
        {"query": "token=%ff%00"},
        {"query": QUERY + "&token=x"},
        {"query": QUERY, "method": "HEAD"},
        {"headers": {"cookie": f"aaow-studio={TOKEN}"}},
        {"headers": {"cookie": "aaow-studio=; aaow-studio-8000="}},
        {"headers": {"cookie": 'aaow-studio-8000="\\377"'}},
        {"headers": {"authorization": f"Bearer {TOKEN}"}},
    ],
)
def test_without_the_token_nothing_is_shown(asked: Asked, path: str, wrong: dict[str, Any]):
    answer = asked(path, **wrong)
    assert (answer.status, answer.header("set-cookie")) == (401, None)
    assert asked("/", query=QUERY).status == 303  # and the token is not used up


def test_the_token_is_exchanged_once_for_a_cookie(asked: Asked):
    answer = asked("/approvals", query=f"status=expired&{QUERY}&q=a%26b")
    assert (answer.status, answer.header("location")) == (303, "/approvals?status=expired&q=a%26b")
    cookie, *flags = str(answer.header("set-cookie")).split("; ")
    assert cookie.startswith("aaow-studio-8000=")
    assert len(cookie) > 50
    assert sorted(flag.lower() for flag in flags) == ["httponly", "path=/", "samesite=strict"]
    assert asked(headers={"cookie": cookie}).status == 200
    assert asked(headers={"cookie": cookie[:-1]}).status == 401
    assert asked("/", query=QUERY).status == 401
    again = asked("/", query=QUERY, headers={"cookie": cookie})
    assert (again.status, again.header("location"), again.header("set-cookie")) == (303, "/", None)


def test_the_cookie_is_for_encrypted_connections_if_it_came_by_one(studio: Studio):
    answer = Asked(studio)("/", query=QUERY, scheme="https")
    assert "; secure" in str(answer.header("set-cookie")).lower()
    proxied = Asked(studio, trusted_proxies=["10.0.0.7"])
    by_proxy = {"headers": {"x-forwarded-proto": "https"}, "client": ("10.0.0.7", 1)}
    assert "; secure" in str(proxied("/", query=QUERY, **by_proxy).header("set-cookie")).lower()
    doubted = Asked(studio, trusted_proxies=["10.0.0.8"])
    assert "; secure" not in str(doubted("/", query=QUERY, **by_proxy).header("set-cookie")).lower()


def test_a_cookie_of_another_port_or_path_is_another(studio: Studio):
    first, second = Asked(studio), Asked(studio)
    cookie, other = first.cookie(), second.cookie(host="127.0.0.1:8001")
    assert cookie["cookie"].partition("=")[0] != other["cookie"].partition("=")[0]
    assert second(headers=cookie).status == 401
    both = {"cookie": f"{cookie['cookie']}; {other['cookie']}"}
    assert (first(headers=both).status, second(headers=both, host="127.0.0.1:8001").status) == (200, 200)

    mounted = Asked(studio)
    mounted.app = Starlette(routes=[Mount("/studio", mounted.app)])
    answer = mounted("/studio/approvals", query=QUERY)
    assert answer.header("location") == "/studio/approvals"
    assert "; path=/studio;" in str(answer.header("set-cookie")).lower()


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "//evil.example/..", "/%5cevil.example", "/a\r\nb"]
)
def test_signing_in_leads_to_no_other_site(asked: Asked, path: str):
    location = str(asked(path, query=QUERY).header("location"))
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert "\n" not in location


def test_browsers_that_signed_in_long_ago_are_forgotten(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sign_in, "MAX_BROWSERS", 0)
    assert asked(headers=asked.cookie()).status == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_on_another_site_leads_by_a_page(asked: Asked, site: str):
    answer = asked("/approvals", query=f'q="><script>&{QUERY}', headers={"sec-fetch-site": site})
    assert answer.status == 200
    assert 'content="0;url=/approvals?q=%22%3E%3Cscript%3E"' in answer.text
    assert "<script" not in answer.text


def test_the_printed_address_signs_in_from_a_page_of_another_site(serve: Serve, page: Any):
    studio = serve(leave_empty, token=TOKEN)
    link = f'<a href="{studio.url}/approvals?{QUERY}">the studio</a>'

    page.route("http://other.example/", lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto("http://other.example/")
    page.get_by_text("the studio").click()
    page.wait_for_selector("h1:text-is('Approvals')")
    assert TOKEN not in page.url
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    page.reload()
    assert page.title().startswith("Approvals")


def test_news_need_the_sign_in_and_end_when_the_server_ends():
    read: list[bytes] = []
    began = threading.Event()

    def follow(url: str, cookies: httpx2.Cookies) -> None:
        with httpx2.stream("GET", f"{url}/live", cookies=cookies, timeout=PATIENCE_S) as answer:
            try:
                for part in answer.iter_raw():
                    read.append(part)
                    began.set()
            except httpx2.RemoteProtocolError:
                read.append(b"the connection was closed")

    with serving("memory://", StudioSettings(token=TOKEN), leave_empty) as studio:
        assert studio.get("/live").status_code == 401
        signed_in = studio.get(f"/?{QUERY}")
        follower = threading.Thread(target=follow, args=(studio.url, signed_in.cookies))
        follower.start()
        assert began.wait(PATIENCE_S)
    follower.join(PATIENCE_S)
    assert not follower.is_alive()
    assert read[0].startswith(b": following")


def test_a_mounted_studio_has_all_checks_and_its_own_links(studio: Studio):
    app = Starlette(routes=[Mount("/tools/studio", studio_app(studio.storage)), Route("/sessions", lambda _: None)])

    async def ask_all(_: StorageAdapter) -> list[Answer]:
        paths = (
            "/tools/studio/approvals",
            "/tools/studio/static/studio.css",
            "/tools/studio/nowhere",
            "/tools/studio/",
        )
        answers = [await ask(app, path) for path in paths]
        return [*answers, await ask(app, paths[0], host="evil.example"), await ask(app, paths[0], method="POST")]

    answers = studio.do(ask_all)
    assert [answer.status for answer in answers] == [200, 200, 404, 307, 421, 403]
    assert 'href="/tools/studio/sessions"' in answers[0].text
    assert 'href="/tools/studio/sessions"' in answers[2].text
    assert answers[3].header("location") == "/tools/studio/sessions"
    assert HOST not in answers[0].text
