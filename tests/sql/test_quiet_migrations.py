"""What alembic tells of itself does not reach the log of a program that opens a store."""

import json
import subprocess
import sys
from pathlib import Path

OPEN = """
import asyncio, json, logging, sys
from aaow_storage import create_adapter

class Kept(logging.Handler):
    def emit(self, record):
        kept.append([record.name, record.getMessage()])

kept = []
logging.basicConfig(level=logging.DEBUG, handlers=[Kept()])
logging.getLogger("asyncio").setLevel(logging.WARNING)

async def main():
    async with create_adapter("sqlite", sys.argv[1]) as storage:
        await storage.list_workflows()

asyncio.run(main())
from alembic.migration import MigrationContext
import sqlalchemy
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    opened = list(kept)
    MigrationContext.configure(connection)
print(json.dumps([opened, kept]))
"""


def test_opening_a_new_store_logs_nothing_and_the_programs_own_migrations_do(tmp_path: Path):
    command = [sys.executable, "-c", OPEN, str(tmp_path / "store.db")]
    opened, all_of_it = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert opened == []
    assert ["alembic.runtime.migration", "Context impl SQLiteImpl."] in all_of_it
