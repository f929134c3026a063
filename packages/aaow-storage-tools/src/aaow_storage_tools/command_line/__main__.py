"""`python -m aaow_storage_tools.command_line` is `aaow-storage`."""

import sys

from aaow_storage_tools.command_line.program import main

if __name__ == "__main__":
    sys.exit(main())
