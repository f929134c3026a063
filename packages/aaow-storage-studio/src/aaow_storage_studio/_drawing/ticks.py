"""Where the ticks of an axis stand: at round values, the last of them not below the largest that is drawn."""

import math
from collections.abc import Sequence

_ROUND = (1, 2, 2.5, 5, 10)
_ROUND_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def ticks(largest: float, *, most: int = 4, are_whole: bool = False) -> list[float]:
    """Return round values from 0 up, at most so many above 0; whole numbers if they count something."""
    if not largest > 0:
        return [0.0, 1.0]
    least = largest / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * each for each in _ROUND if power * each >= least * (1 - 1e-9))
    if are_whole:
        step = max(1.0, float(math.ceil(step)))
    return _steps(step, largest)


def ticks_of_seconds(largest: float, *, most: int = 4) -> list[float]:
    """Return values from 0 up that are round as seconds, minutes or hours."""
    step = next((each for each in _ROUND_SECONDS if each >= largest / most), None)
    return ticks(largest, most=most) if largest < most or step is None else _steps(float(step), largest)


def _steps(step: float, largest: float) -> list[float]:
    number = math.ceil(largest / step - 1e-9)
    return [step * place for place in range(number + 1)]


def spread(length: int, most: int) -> Sequence[int]:
    """Return places in a list, evenly apart, at most so many."""
    every = max(1, math.ceil(length / most))
    return range(0, length, every)
