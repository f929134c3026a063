"""Comparing a JSON list with one that was seen before: strictly, and faster than encoding or copying it.

JSON is read back with the same types and the same order of keys, so two values are the same only if they agree in
both, and 0 differs from 0.0, 0.0 from -0.0 and False from 0. A call for each part would take most of the time of a save
with a long input. So the parts of all items are kept level by level, and each level is compared as a whole.
"""

from itertools import chain
from typing import Any

from attrs import Factory, define


@define(eq=False, repr=False)
class _Level:
    """The parts at one depth, in order."""

    kinds: list[type] = Factory(list)
    present: set[type] = Factory(set)
    dict_lengths: list[int] = Factory(list)
    list_lengths: list[int] = Factory(list)
    keys: list[str] = Factory(list)
    scalars: list[Any] = Factory(list)


class Structure:
    """The structure of the items of a list, which may grow. It shares texts and numbers, and no list or dict."""

    def __init__(self, items: list[Any]) -> None:
        self._levels: list[_Level] = []
        self.add(items)

    def add(self, items: list[Any]) -> None:
        """Add items, which are JSON."""
        at, depth = items, 0
        while at:
            if depth == len(self._levels):
                self._levels.append(_Level())
            level = self._levels[depth]
            level.kinds += map(type, at)
            level.present.update(map(type, at))
            level.scalars += [part for part in at if type(part) not in _CONTAINERS]
            dicts, lists = _of(dict, at), _of(list, at)
            level.dict_lengths += map(len, dicts)
            level.list_lengths += map(len, lists)
            level.keys += chain.from_iterable(dicts)
            at = _parts_of(at)
            depth += 1

    def is_of(self, items: list[Any]) -> bool:
        """Say whether the items are those of this structure, and are JSON."""
        at = items
        for level in self._levels:
            if [*map(type, at)] != level.kinds:
                return False
            present = level.present
            if not present & _CONTAINERS:
                return at == level.scalars and _have_equal_floats(at, level)
            is_uniform = len(present) == 1
            if dict in present:
                dicts = at if is_uniform else _of(dict, at)
                keys = [*chain.from_iterable(dicts)]
                if [*map(len, dicts)] != level.dict_lengths or keys != level.keys or {*map(type, keys)} - {str}:
                    return False
            if list in present:
                lists = at if is_uniform else _of(list, at)
                if [*map(len, lists)] != level.list_lengths:
                    return False
            if not is_uniform:
                scalars = [part for part in at if type(part) not in _CONTAINERS]
                if scalars != level.scalars or not _have_equal_floats(scalars, level):
                    return False
            if list not in present:
                at = [*chain.from_iterable(map(dict.values, dicts))]
            elif dict not in present:
                at = [*chain.from_iterable(lists)]
            else:
                at = _parts_of(at)
        return not at


_CONTAINERS = frozenset({dict, list})


def _of(kind: type, parts: list[Any]) -> list[Any]:
    return [part for part in parts if type(part) is kind]


def _parts_of(parts: list[Any]) -> list[Any]:
    """Return the parts of dicts and lists, in order."""
    return [*chain.from_iterable(part.values() if type(part) is dict else part for part in _containers(parts))]


def _containers(parts: list[Any]) -> list[Any]:
    return [part for part in parts if type(part) in _CONTAINERS]


def _have_equal_floats(scalars: list[Any], level: _Level) -> bool:
    """Compare the signs of zeros, which `==` does not."""
    return float not in level.present or [*map(repr, _of(float, scalars))] == [*map(repr, _of(float, level.scalars))]
