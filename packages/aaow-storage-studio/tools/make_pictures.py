"""Take the pictures of the studio's tour, `packages/aaow-storage/docs/studio/*.png`, in the system's Chromium.

    python packages/aaow-storage-studio/tools/make_pictures.py [NAME ...]

It fills a store with the runs that the tests of the studio have, serves it in this process, and takes a picture of each
page, or of those that are named. A picture has few colours, so that it is small; one that is too large is an error.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from attrs import evolve
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from aaow_storage import StorageAdapter, now
from aaow_storage_studio import StudioSettings

ROOT = Path(__file__).parents[3]
sys.path.append(str(ROOT / "tests" / "studio"))

import runs  # noqa: E402 - it is in the folder of the line before
from run_builder import Run, usage_of  # noqa: E402 - as above
from studio_serving import Studio, serving  # noqa: E402 - as above

FOLDER = ROOT / "packages/aaow-storage/docs/studio"
WIDTH = 1280
COLOURS = 128
MAX_BYTES = 60_000


class Picture(NamedTuple):
    """A picture of a page: its address, how much of it is shown, and in which theme."""

    address: str
    height: int
    is_dark: bool = False


PICTURES = {
    "sessions": Picture("sessions", 560),
    "session": Picture("session?id=research-7f3a", 810),
    "session-failed": Picture("session?id=triage-91c0", 640, is_dark=True),
    "model-call": Picture("model-call?session=research-7f3a&id=research-7f3a/call-5", 800),
    "approvals": Picture("approvals", 560),
    "budgets": Picture("budgets", 400),
    "usage": Picture("usage?by=model", 740, is_dark=True),
    "workflow": Picture("workflow?id=market-research&session=research-7f3a", 500),
    "compare": Picture("compare?a=triage-91be&b=triage-91c0", 560),
    "store": Picture("store", 640),
}


async def fill(storage: StorageAdapter) -> None:
    """Store the runs of a week at work; the last of them began minutes ago."""
    end = now()
    await runs.budgets(storage, end - timedelta(days=9))
    for day in range(1, 7):
        begins_at = end - timedelta(days=day, hours=day * 5 % 7, minutes=day * 17)
        await triage_done(storage, begins_at, f"triage-{0x91BE - 7 * day:x}", 48_113 - 9 * day)
        await runs.lookup_quick(storage, begins_at - timedelta(hours=4, minutes=day), f"lookup-{0x4B19 - 61 * day:x}")
    await runs.research(storage, end - timedelta(hours=4, minutes=52))
    await triage_done(storage, end - timedelta(hours=1, minutes=6), "triage-91be", 48_107)
    await runs.repair_loop(storage, end - timedelta(minutes=47, seconds=20))
    await runs.triage_failed(storage, end - timedelta(minutes=26, seconds=11))
    await runs.refund_waiting(storage, end - timedelta(minutes=11, seconds=40))
    await runs.lookup_quick(storage, end - timedelta(minutes=3, seconds=12), "lookup-4b19")
    await runs.answer_live(storage, end - timedelta(seconds=14))
    for each in await storage.list_workflows():
        begun_at = end - timedelta(days=12, hours=3)
        await storage.save_workflow(evolve(each, created_at=begun_at, updated_at=begun_at))


async def triage_done(storage: StorageAdapter, begins_at: datetime, id: str, ticket: int) -> None:
    """Store a run of the workflow that `runs.triage_failed` has, in which nothing failed."""
    run = Run(id, begins_at, runs.TRIAGE, metadata={"user": "grace", "ticket": ticket})
    letter = {"role": "user", "content": "When does my order come?"}
    run.node("read-ticket", 0, 2.1, input=letter, output={"order": "99-1198"})
    run.call("read-ticket", 0.1, 2.0, input=[letter], text='{"order": "99-1198"}', **usage_of("atlas-small", 396, 30))
    run.node("find-order", 2.2, 2.9, input={"order": "99-1198"}, output={"sent": True})
    run.tool("get_order", 2.3, 0.5, node_id="find-order", args={"order": "99-1198"}, result={"sent": True})
    answer = "It was sent this morning, and comes tomorrow."
    run.node("draft-answer", 3.0, 7.4, output={"text": answer})
    run.call("draft-answer", 3.1, 7.3, input=[letter], text=answer, **usage_of("atlas-large", 1240, 180))
    run.node("send", 7.5, 8.1, output={"message": ticket})
    run.tool("send_answer", 7.6, 0.4, node_id="send", args={"ticket": ticket}, result={"message": ticket})
    await run.store(storage, end=8.2)


def take(browser: Browser, studio: Studio, name: str, picture: Picture) -> None:
    """Take a picture, and write its file."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": picture.height},
        color_scheme="dark" if picture.is_dark else "light",
        reduced_motion="reduce",
        timezone_id="UTC",
        locale="en-GB",
    )
    page = context.new_page()
    answer = page.goto(f"{studio.url}/{picture.address}")
    if answer is None or not answer.ok:
        sys.exit(f"{name}: the page was answered with {answer and answer.status}")
    page.evaluate("document.fonts.ready")
    write(FOLDER / f"{name}.png", page.screenshot())
    context.close()


def write(path: Path, png: bytes) -> None:
    """Write a picture with a palette."""
    image = Image.open(BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE, kmeans=1).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size / 1000:.1f} kB")
    if size > MAX_BYTES:
        sys.exit(f"{path.name} has more than {MAX_BYTES / 1000:.0f} kB: show less of the page")


def main(names: Iterable[str]) -> None:
    """Take the pictures that are named, or all."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("it needs Chromium: apt install chromium")
    FOLDER.mkdir(exist_ok=True)
    settings = StudioSettings(allow_decisions=True, decides_as="ada", store_name="agents.db")
    with (
        tempfile.TemporaryDirectory(prefix="studio-") as folder,
        serving(f"file:{folder}/agents.db", settings, fill) as studio,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--lang=en-GB"])
        for name in names or PICTURES:
            take(browser, studio, name, PICTURES[name])
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
