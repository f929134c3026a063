"""`python -m aaow_storage_conformance.broken` prints which test of the suite catches which mistake."""

import sys

from aaow_storage_conformance.broken._matrix import main

if __name__ == "__main__":
    sys.exit(main())
