"""`create_adapter` runs on an event loop, so the slow imports wait for the thread that opens the store."""

import subprocess
import sys

PROGRAM = """
import sys
from aaow_storage import create_adapter

create_adapter("postgresql", "postgresql://db/agents")
print(*sorted({"alembic", "sqlalchemy"} & sys.modules.keys()))
"""


def test_create_adapter_imports_no_sqlalchemy():
    imported = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert imported.split() == []
