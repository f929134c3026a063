"""`benchmarks` is imported by that name here too, as it is when it runs as a program."""

import sys
from pathlib import Path

FOLDER = str(Path(__file__).parents[1])
if FOLDER not in sys.path:
    sys.path.append(FOLDER)
