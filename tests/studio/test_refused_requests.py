"""Requests that a browser is made to send, or that somebody writes by hand, and what the studio answers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from asgi_calls import FORM, HOST, OWN, Answer, ask
from studio_serving import Studio, serving

from aaow_storage import ApprovalRequest, DelegatingAdapter, Session, StorageAdapter, create_adapter
from aaow_storage.errors import StorageUnavailableError, ValidationError
from aaow_storage_studio import StudioSettings, studio_app
from aaow_storage_studio._security.address_length import MAX_ADDRESS_BYTES
from aaow_storage_studio._security.forms import MAX_FORM_BYTES
from aaow_storage_studio._security.redaction import NotOffered, RedactedAdapter
from aaow_storage_studio._security.response_headers import HEADERS

Ask = Callable[..., Answer]
DECIDING: dict[str, Any] = {"allow_decisions": True, "decides_as": "ada"}
PROXY = "10.0.0.7"
BY_PROXY: dict[str, Any] = {
    "allow_decisions": True,
    "decider_header": "X-Forwarded-User",
    "trusted_proxies": [PROXY],
    "allowed_hosts": ["127.0.0.1", "agents.example"],
}
APPROVE = {"path": "/approval/decide", "method": "POST", "body": [b"id=one&decision=approve"]}


async def fill(storage: StorageAdapter) -> None:
    await storage.create_session(Session(id="run", workflow_id=None, workflow_snapshot={}))
    await storage.create_approval_request(
        ApprovalRequest(id="one", session_id="run", node_id="pay", type="human_review")
    )


@pytest.fixture(scope="module")
def shared() -> Iterator[Studio]:
    with serving("memory://", StudioSettings(), fill) as studio:
        yield studio


@pytest.fixture
def studio(shared: Studio) -> Iterator[Studio]:
    """Return the studio of all tests here, with a store of its own for this one."""

    async def store(_: StorageAdapter) -> StorageAdapter:
        storage = create_adapter("memory://")
        await storage.initialize()
        await fill(storage)
        return storage

    own = replace(shared, storage=shared.do(store))
    yield own
    own.do(lambda storage: storage.close())


@pytest.fixture
def asked(studio: Studio) -> Ask:
    """Return a function that asks an application with settings, on the loop of the studio."""

    def asked(settings: dict[str, Any] | None = None, **request: Any) -> Answer:
        given = StudioSettings(**(settings or {}))
        answer: Answer = studio.do(lambda storage: ask(studio_app(storage, given), **request))
        return answer

    return asked


def status_of(studio: Studio) -> tuple[str, str | None]:
    request = studio.do(lambda storage: storage.get_approval_request("one"))
    return str(request.status), request.resolved_by


@pytest.mark.parametrize(
    "host", [HOST, "127.0.0.1", "localhost", "LocalHost:8000", "[::1]", "[::1]:8000", "127.0.0.1:65535"]
)
def test_the_studio_answers_to_the_names_of_its_machine(asked: Ask, host: str):
    assert asked(host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "evil.example.127.0.0.1",
        "localhost.",
        "localhost.:8000",
        "ada@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1:8000@evil.example",
        "127.0.0.1:80:80",
        "127.0.0.1:port",
        "127.0.0.1:",
        "127.0.0.1:8000000",
        "127.0.0.1:\N{SUPERSCRIPT TWO}",
        "[::1]evil.example",
        "[::1].evil.example",
        "[::1",
        "::1",
        "[::]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "",
        " 127.0.0.1",
        "127.0.0.1 evil.example",
        "127.0.0.1,evil.example",
        "127.0.0.1/evil.example",
        "127.0.0.1#evil.example",
        "127.0.0.1?evil.example",
        "127.0.0.1\\evil.example",
        "http://127.0.0.1",
        "*",
    ],
)
def test_a_name_that_resolves_to_this_machine_is_refused(asked: Ask, host: str):
    answer = asked(host=host)
    assert (answer.status, b"run" in answer.body) == (421, False)


def test_a_request_has_one_host(asked: Ask):
    assert asked(host=None).status == 421
    assert asked(headers=[("host", "evil.example")]).status == 421
    assert asked(host="evil.example", headers=[("host", HOST)]).status == 421
    assert asked(headers=[("host", HOST)]).status == 421
    assert asked(headers={"x-forwarded-host": "evil.example"}).status == 200


def test_any_host_is_allowed_only_if_it_is_one(asked: Ask):
    assert asked({"allowed_hosts": "*"}, host="agents.example").status == 200
    assert asked({"allowed_hosts": "*"}, host="a@b").status == 421
    assert asked({"allowed_hosts": "Agents.example"}, host="agents.EXAMPLE:80").status == 200
    assert asked({"allowed_hosts": "agents.example"}, host="a").status == 421


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://127.0.0.1:8001"},
        {"origin": "https://127.0.0.1:8000"},
        {"origin": "http://localhost:8000"},
        {"origin": "http://127.0.0.1:8000.evil.example"},
        {"origin": "http://127.0.0.1:8000/"},
        {"origin": "http://127.0.0.1:8000 http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": ""},
        {"origin": OWN["origin"], "sec-fetch-site": "cross-site"},
        {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"referer": "http://127.0.0.1:8000/approvals"},
        [("origin", OWN["origin"]), ("origin", "http://evil.example")],
        [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ],
)
def test_a_form_of_another_site_decides_nothing(studio: Studio, asked: Ask, headers: Any):
    given = [*(headers.items() if isinstance(headers, dict) else headers), *FORM.items()]
    assert asked(DECIDING, **APPROVE, headers=given).status == 403
    assert status_of(studio) == ("pending", None)


@pytest.mark.parametrize(
    "headers", [OWN, {"origin": OWN["origin"]}, {"sec-fetch-site": "same-origin"}, {"origin": "HTTP://127.0.0.1:8000"}]
)
def test_a_form_of_the_studio_decides(studio: Studio, asked: Ask, headers: dict[str, str]):
    assert asked(DECIDING, **APPROVE, headers=headers | FORM).status == 303
    assert status_of(studio) == ("approved", "ada")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""])
def test_only_a_form_decides(studio: Studio, asked: Ask, kind: str):
    assert asked(DECIDING, **APPROVE, headers=OWN | {"content-type": kind}).status == 415
    assert status_of(studio) == ("pending", None)


def test_a_studio_that_only_shows_refuses_before_it_reads_the_form(studio: Studio, asked: Ask):
    answer = asked(**APPROVE, headers=OWN | FORM)
    assert (answer.status, answer.parts_read) == (403, 0)
    assert "--allow-decisions" in answer.text
    assert status_of(studio) == ("pending", None)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST", "TRACE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize("path", ["/sessions", "/approval", "/live", "/static/studio.css", "/", "/nowhere"])
def test_a_page_is_only_read(asked: Ask, method: str, path: str):
    answer = asked(DECIDING, path=path, method=method, headers=OWN | FORM)
    assert answer.status == (404 if path == "/nowhere" else 405)
    assert not [name for name, _ in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"])
def test_nothing_but_a_post_decides(studio: Studio, asked: Ask, method: str):
    given = {**APPROVE, "method": method, "query": "id=one&decision=approve"}
    assert asked(DECIDING, **given, headers=OWN | FORM).status == 405
    assert status_of(studio) == ("pending", None)


@pytest.mark.parametrize("path", ["/sessions", "/approvals.json", "/static/studio.css", "/live"])
def test_head_has_the_headers_alone_and_follows_nothing(studio: Studio, path: str):
    answer = httpx2.head(f"{studio.url}{path}")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static",
        "/static/../_app.py",
        "/static/vendor/../../_app.py",
        "/static/../../../../../../../../etc/passwd",
        "/static//etc/passwd",
        "/static/%2e%2e/_app.py",
        "/static/..%2f_app.py",
        "/static/..\\_app.py",
        "/static/vendor",
        "/static/studio.css\0.txt",
        "/static/studio.css/",
        "/static/" + "x" * 5000,
        "//evil.example/",
        "/\\evil.example",
        "/sessions/../static/studio.css",
    ],
)
def test_no_path_leads_to_a_file_that_is_not_served(asked: Ask, path: str):
    answer = asked(path=path)
    assert answer.status == 404
    assert b"root:" not in answer.body
    assert b"import" not in answer.body
    assert not re.search(r'(href|src|action)="(//|/\\|[^/#"])', answer.text)


def test_an_address_and_a_form_have_a_length(studio: Studio, asked: Ask):
    assert asked(query="q=" + "x" * MAX_ADDRESS_BYTES).status == 414
    assert asked(path="/" + "x" * MAX_ADDRESS_BYTES).status == 414
    assert asked(query="limit=" + "9" * 5000).status == 200
    assert asked(query="limit=\N{SUPERSCRIPT TWO}").status == 200
    parts = [b"x" * 65536] * 100
    answer = asked(DECIDING, path="/approval/decide", method="POST", headers=OWN | FORM, body=parts)
    assert (answer.status, answer.parts_read) == (413, MAX_FORM_BYTES // 65536 + 1)


@pytest.mark.parametrize(
    "query", ["id=%00", "id=%ff", "id=%ed%a0%80", "id=" + "x" * 300, "id=one&id=two", "q=%00", "after=%00", "&&=&;"]
)
@pytest.mark.parametrize("path", ["/approval", "/approvals", "/sessions.json"])
def test_no_parameter_makes_the_studio_fail(asked: Ask, path: str, query: str):
    assert asked(path=path, query=query).status in {200, 400, 404}


class Failing(DelegatingAdapter):
    """A store whose reading fails."""

    def __init__(self, wrapped: StorageAdapter, error: Exception) -> None:
        super().__init__(wrapped)
        self.error = error

    async def pass_on(self, operation: str, /, *arguments: Any, **options: Any) -> Any:
        if operation.startswith("list_"):
            raise self.error
        return await super().pass_on(operation, *arguments, **options)


@pytest.mark.parametrize("path", ["/sessions", "/sessions.json", "/approvals", "/approvals.json"])
def test_an_error_has_no_traceback_and_no_password(studio: Studio, path: str):
    secret = "no route to postgresql://ada:hunter2@db/runs?password=hunter2 for sk-1234"
    settings = StudioSettings(redact=["sk-[0-9]+"], store_name="postgresql://ada:hunter2@db/runs")

    async def ask_both(storage: StorageAdapter) -> list[Answer]:
        errors = (StorageUnavailableError(secret), ZeroDivisionError(secret))
        return [await ask(studio_app(Failing(storage, error), settings), path) for error in errors]

    known, unknown = studio.do(ask_both)
    assert (known.status, unknown.status) == (503, 500)
    assert isinstance(unknown.error, ZeroDivisionError)  # the server logs it
    for answer in (known, unknown):
        for text in ("hunter2", "sk-1234", "Traceback", 'File "', "ZeroDivision"):
            assert text not in answer.text
        assert {name: answer.header(name.lower()) for name in HEADERS} == HEADERS
    assert "no route to" in known.text


def test_every_answer_has_the_headers_that_keep_it_safe(asked: Ask):
    answers = [
        asked(path="/sessions"),
        asked(path="/sessions.json"),
        asked(path="/"),
        asked(path="/nowhere"),
        asked(path="/nowhere.json"),
        asked(path="/static/studio.js"),
        asked(path="/static/nowhere"),
        asked(path="/sessions", method="PUT", headers=OWN),
        asked(path="/sessions", method="PUT"),
        asked(path="/live", method="HEAD"),
        asked(path="/approval"),
        asked(path="/approval", query="id=none"),
        asked(query="x" * MAX_ADDRESS_BYTES),
        asked(host="evil.example"),
        asked({"token": "a long token"}),
        asked({"token": "a long token"}, query="token=a+long+token"),
        asked(DECIDING, **APPROVE, headers=OWN | FORM),
        asked(DECIDING, **APPROVE, headers=OWN | FORM),
    ]
    wanted = [200, 200, 307, 404, 404, 200, 404, 405, 403, 200, 400, 404, 414, 421, 401, 303, 303, 409]
    assert [answer.status for answer in answers] == wanted
    for answer in answers:
        assert {name: answer.header(name.lower()) for name in HEADERS} == HEADERS
        assert answer.header("cache-control") in {"no-store", "no-cache"}


@pytest.mark.parametrize(
    ("headers", "client", "decider"),
    [
        ({"x-forwarded-user": "grace"}, PROXY, "grace"),
        ({"x-forwarded-user": "J\u00fcrgen".encode().decode("latin-1")}, PROXY, "J\u00fcrgen"),
        ({"x-forwarded-user": "J\u00fcrgen"}, PROXY, "J\u00fcrgen"),
        ({"x-forwarded-user": "grace"}, "10.0.0.8", None),
        ({"x-forwarded-user": "grace"}, "127.0.0.1", None),
        ({"x-forwarded-user": "grace", "x-forwarded-for": PROXY}, "127.0.0.1", None),
        ({"x-forwarded-user": "grace", "forwarded": f"for={PROXY}"}, "127.0.0.1", None),
        ({"x_forwarded_user": "grace"}, PROXY, None),
        ({"x-forwarded-user": "  "}, PROXY, None),
        ({}, PROXY, None),
        ([("x-forwarded-user", "grace"), ("x-forwarded-user", "eve")], PROXY, None),
        ([("x-forwarded-user", "grace"), ("X-Forwarded-User", "grace")], PROXY, None),
    ],
)
def test_who_decides_comes_from_a_trusted_proxy_alone(
    studio: Studio, asked: Ask, headers: Any, client: str, decider: str | None
):
    given = [*(headers.items() if isinstance(headers, dict) else headers), *OWN.items(), *FORM.items()]
    given = [(name.lower(), value) for name, value in given]
    answer = asked(BY_PROXY, **APPROVE, headers=given, client=(client, 1))
    assert answer.status == (303 if decider else 403)
    assert status_of(studio) == ("approved" if decider else "pending", decider)


def test_a_doubled_header_does_not_fall_back_to_the_name_of_the_settings(studio: Studio, asked: Ask):
    doubled = [("x-forwarded-user", "grace"), ("x-forwarded-user", "eve"), *OWN.items(), *FORM.items()]
    assert asked(BY_PROXY | {"decides_as": "ada"}, **APPROVE, headers=doubled, client=(PROXY, 1)).status == 403
    assert asked(BY_PROXY | {"decides_as": "ada"}, **APPROVE, headers=doubled, client=None).status == 303
    assert status_of(studio) == ("approved", "ada")


def test_the_scheme_is_what_a_trusted_proxy_says(studio: Studio, asked: Ask):
    secure = {"origin": "https://agents.example", "x-forwarded-proto": "https", "x-forwarded-user": "grace"}
    given: dict[str, Any] = {**APPROVE, "host": "agents.example"}
    assert asked(BY_PROXY, **given, headers=secure | FORM).status == 403
    plain = secure | {"origin": "http://agents.example"}
    assert asked(BY_PROXY, **given, headers=plain | FORM, client=(PROXY, 1)).status == 403
    assert asked(BY_PROXY, **given, headers=secure | FORM, client=(PROXY, 1)).status == 303


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"token": ""}, "at least 8"),
        ({"token": "short"}, "at least 8"),
        ({"allow_decisions": True}, "decides_as"),
        ({"allow_decisions": True, "decides_as": ""}, "empty"),
        ({"allow_decisions": True, "decides_as": " "}, "empty"),
        ({"decider_header": "X-User"}, "trusted_proxies"),
        ({"redact": "("}, "regular expression"),
    ],
)
def test_settings_that_leave_a_door_open_are_refused(settings: dict[str, Any], problem: str):
    with pytest.raises(ValidationError, match=problem):
        StudioSettings(**settings)


@pytest.mark.parametrize("operation", ["save_workflow", "update_session", "delete_session", "expire_approvals"])
def test_the_store_that_pages_see_cannot_be_changed(studio: Studio, operation: str):
    async def change(storage: StorageAdapter) -> None:
        seen = RedactedAdapter(storage, ())
        with pytest.raises(NotOffered, match=operation):
            await getattr(seen, operation)("run")
        with pytest.raises(NotOffered, match="approve_request"):
            await seen.approve_request("one", "eve")
        with pytest.raises(NotOffered, match="begin_transaction"):
            await seen.begin_transaction()

    studio.do(change)
    assert status_of(studio) == ("pending", None)
