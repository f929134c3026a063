"""`python -m aaow_storage_studio --storage URL`: the studio, as `aaow-storage studio` is."""

import sys

from aaow_storage_tools.command_line import main

if __name__ == "__main__":
    sys.exit(main(["studio", *sys.argv[1:]]))
