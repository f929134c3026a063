"""Records that attack whoever looks at them: nothing of them is more than text on any page."""

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hostile_records
import pytest
from asgi_calls import Answer, ask
from studio_serving import Studio, serving

import aaow_storage_studio
from aaow_storage_studio import StudioSettings, studio_app
from aaow_storage_studio._pages import PAGES

FORBIDDEN = {"xss-probe", "animate", "base", "embed", "hx-partial", "iframe", "img", "object", "style", "template"}
ADDRESSES = {"action", "formaction", "href", "src", "hx-get", "hx-post", "hx-sse:connect", "xlink:href"}
SECRET = "sk-0042abcd"


def path_of(address: str) -> str:
    return address.partition("?id=")[0]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    store = f"file:{tmp_path_factory.mktemp('studio') / 'hostile.db'}"
    settings = StudioSettings(allow_decisions=True, decides_as=hostile_records.PROBES[0], store_name="<xss-probe>")
    with serving(store, settings, hostile_records.fill) as hostile:
        yield hostile


class Elements(HTMLParser):
    """Collects what on a page no template of the studio writes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.strange: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        is_strange = tag in FORBIDDEN or len(set(names)) < len(names)
        for name, value in attributes:
            is_strange |= name.startswith(("on", "hx-on")) or name in {"xss-attr", "style", "srcdoc", "http-equiv"}
            if name in ADDRESSES:
                is_strange |= not (value or "").startswith(("/", "#")) or (value or "").startswith(("//", "/\\"))
        if tag in {"script", "link"}:
            is_strange |= not str(dict(attributes).get("src") or dict(attributes).get("href")).startswith("/static/")
        if is_strange:
            self.strange.append(str(self.get_starttag_text()))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:  # the text of a script or a style
            self.strange.append(data)


def test_the_collector_finds_what_it_looks_for():
    for probe in hostile_records.PROBES[:3]:
        assert Elements(f'<p title="{probe}">{probe}</p>').strange
    for html in ('<a href="javascript:x">', '<a href="//x">', "<p onclick=x>", "<script>x</script>", "<p id=a id=b>"):
        assert Elements(html).strange


@pytest.mark.parametrize("address", hostile_records.addresses(), ids=path_of)
def test_no_element_and_no_attribute_of_a_page_comes_from_a_record(studio: Studio, address: str):
    answer = studio.get(address)
    assert answer.status_code == 200, answer.text
    assert Elements(answer.text).strange == []
    assert "1337" not in answer.text.partition("<main")[2] or "7 * 191" in answer.text


@pytest.mark.parametrize("address", hostile_records.addresses(".json"), ids=path_of)
def test_json_is_json_to_every_browser(studio: Studio, address: str):
    answer = studio.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert json.loads(answer.text)["schema"] == 1


@pytest.mark.parametrize("page", [page.path for page in PAGES])
def test_no_parameter_is_more_than_text(studio: Studio, page: str):
    needed = hostile_records.FIRST.get(page, {})
    names = ("q", "order", "after", "limit", "status", "by", "view", "until", *needed)
    probes = hostile_records.PROBES[:4]

    async def ask_all(_: Any) -> list[Answer]:
        given = [{**needed, **dict.fromkeys(names, probe)} for probe in probes]
        given += [{**needed, name: probes[1]} for name in names]
        return [await ask(app, f"/{page}", query=urlencode(each)) for each in given]

    app = studio_app(studio.storage, studio.settings)
    for answer in studio.do(ask_all):
        assert answer.status in {200, 400, 404, 501}, answer
        assert Elements(answer.text).strange == []


def test_the_answer_to_a_decision_is_text_too(studio: Studio):
    form = {"id": f"{hostile_records.SESSION}/approval-6", "decision": "approve", "notes": hostile_records.PROBES[0]}
    answer = studio.post("/approval/decide", form)
    assert answer.status_code == 409
    assert Elements(answer.text).strange == []
    wrong = studio.post("/approval/decide", {"id": hostile_records.PROBES[0], "decision": "approve"})
    assert wrong.status_code == 404
    assert Elements(wrong.text).strange == []


def test_in_a_browser_nothing_runs_and_nothing_is_loaded_from_elsewhere(studio: Studio, page: Any):
    asked: list[str] = []
    dialogs: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for address in hostile_records.addresses():
        page.goto(f"{studio.url}{address}")
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        page.mouse.move(300, 300)
        assert page.locator("xss-probe, [xss-attr], main img, main iframe").count() == 0, address
        assert page.url.startswith(studio.url)
    assert dialogs == []
    assert [url for url in asked if not url.startswith(f"{studio.url}/")] == []


def test_no_template_writes_what_it_does_not_escape():
    folder = Path(aaow_storage_studio.__file__).parent / "templates"
    for template in folder.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        for wrong in ("|safe", "| safe", "autoescape", "Markup", "<style", " style=", " onclick", "javascript:"):
            assert wrong not in text, (template.name, wrong)
    # What is escaped ends an attribute only if the template has put it into quotes.
    unquoted = [text for template in folder.glob("*.html") for text in _unquoted(template.read_text(encoding="utf-8"))]
    assert unquoted == []


def _unquoted(template: str) -> list[str]:
    return [line for line in template.splitlines() if "={{" in line.replace(" ", "")]


@pytest.fixture(scope="module")
def redacted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    async def fill(storage: Any) -> None:
        texts = [f"the {SECRET}{place} is here" for place in range(len(hostile_records.PROBES))]
        await hostile_records.store_records(storage, texts, hostile_records.PROBES)

    store = f"file:{tmp_path_factory.mktemp('studio') / 'secrets.db'}"
    settings = StudioSettings(allow_decisions=True, decides_as="ada", redact=["sk-[0-9a-f]+"])
    with serving(store, settings, fill) as studio:
        yield studio


@pytest.mark.parametrize("twin", ["", ".json"])
def test_what_is_redacted_is_on_no_page(redacted: Studio, twin: str):
    shown = 0
    for address in hostile_records.addresses(twin):
        answer = redacted.get(address)
        assert answer.status_code == 200, (address, answer.text)
        assert SECRET not in answer.text, address
        shown += "[redacted]" in answer.text
    assert shown > len(PAGES) // 2


def test_what_is_redacted_is_in_no_error_and_no_answer_to_a_decision(redacted: Studio):
    late = redacted.post(
        "/approval/decide", {"id": f"{hostile_records.SESSION}/approval-6", "decision": "approve", "notes": "mine"}
    )
    assert late.status_code == 409
    assert SECRET not in late.text
    assert "[redacted]" in late.text
    missing = redacted.get(f"/approval.json?id={SECRET}")
    assert (missing.status_code, SECRET in missing.text) == (404, False)


def test_ids_stay_and_keys_that_become_equal_keep_their_values(redacted: Studio):
    (found,) = redacted.json("/sessions.json")["records"]
    assert found["id"] == hostile_records.SESSION
    assert len(found["metadata"]) == len(hostile_records.PROBES)
    assert "the [redacted] is here 2" in found["metadata"]
    assert hostile_records.SESSION in redacted.json("/sessions.json")["usage"]
