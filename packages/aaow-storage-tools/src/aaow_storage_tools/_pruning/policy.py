"""`PrunePolicy`: which sessions are given up, and which are kept whatever the rules say."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import field, frozen

from aaow_storage import FieldName, SessionStatus, ValidationError

ENDED = (SessionStatus.COMPLETED, SessionStatus.FAILED, SessionStatus.CANCELLED)
"""The statuses that a rule gives up if it names none."""
DEFAULT_HOLD = "metadata.hold"
_AGE = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_age(text: str, name: str = "older_than") -> timedelta:
    """Return the time that a text such as `"90d"`, `"12h"` or `"2w"` names: seconds, minutes, hours, days or weeks.

    Raises:
        ValidationError: it has another form, or names no time that can be subtracted from now.
    """
    match = _AGE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or len(match.group(1)) > 6:  # noqa: PLR2004 - more than two thousand years of days
        problem = "must be a number with s, m, h, d or w, such as '90d'"
        raise ValidationError("PrunePolicy", name, f"{problem}, not {text!r}")
    return timedelta(seconds=int(match.group(1)) * _SECONDS[match.group(2)])


def _statuses(value: Iterable[SessionStatus | str]) -> tuple[SessionStatus, ...]:
    if isinstance(value, str):
        value = (value,)
    known = {str(each) for each in SessionStatus}
    for each in value:
        if each not in known:
            raise ValidationError("PruneRule", "status", f"{each!r} is not one of {', '.join(sorted(known))}")
    return tuple(map(SessionStatus, value))


def _workflows(value: Iterable[str] | str | None) -> tuple[str, ...] | None:
    return (value,) if isinstance(value, str) else None if value is None else tuple(value)


def _is_age(instance: object, attribute: Any, value: Any) -> None:
    del instance
    if not isinstance(value, timedelta) or value < timedelta(0):
        problem = f"must be a timedelta of 0 or more, such as timedelta(days=90), not {value!r}"
        raise ValidationError("PrunePolicy", attribute.name, problem)


def _is_age_or_none(instance: object, attribute: Any, value: Any) -> None:
    if value is not None:
        _is_age(instance, attribute, value)


def _is_number(instance: object, attribute: Any, value: Any) -> None:
    del instance
    if type(value) is not int or not 0 <= value <= MAX_KEPT:
        raise ValidationError("PruneRule", attribute.name, f"must be an int from 0 to {MAX_KEPT}, not {value!r}")


def _is_where(instance: object, attribute: Any, value: Any) -> None:
    del instance
    if not isinstance(value, Mapping):
        problem = f"must map fields to values, not be {type(value).__name__}"
        raise ValidationError("PruneRule", attribute.name, problem)
    for name in value:
        first = name.split(".")[0] if isinstance(name, str) else name[0]
        if first in _NOT_IN_WHERE:
            raise ValidationError("PruneRule", attribute.name, f"must not name {first}: {_NOT_IN_WHERE[first]}")


MAX_KEPT = 10_000
_NOT_IN_WHERE = {
    "status": "use `status` of the rule",
    "workflow_id": "use `workflows` of the rule",
    "updated_at": "use `older_than` of the rule",
    "parent_session_id": "a child session goes with its parent",
    "workflow_snapshot": "the snapshots are not read; use metadata",
}


@frozen(kw_only=True)
class PruneRule:
    """Which sessions are given up.

    Attributes:
        older_than: how long ago the last change of the session has to be (`updated_at`).
        status: the statuses that it gives up; those in which a session has ended, unless they are named.
        workflows: the ids of the workflows whose sessions it gives up; None for all.
        keep_last: how many of the newest sessions of each workflow stay, however old they are; those count that have
            the statuses, workflows and conditions of the rule. Sessions without a workflow count as those of one.
        where: more conditions, as in `QueryFilter.where`, on any field but the snapshot.
    """

    older_than: timedelta = field(validator=_is_age)
    status: tuple[SessionStatus, ...] = field(default=ENDED, converter=_statuses)
    workflows: tuple[str, ...] | None = field(default=None, converter=_workflows)
    keep_last: int = field(default=0, validator=_is_number)
    where: Mapping[FieldName, Any] = field(factory=dict, validator=_is_where)


def _rules(value: Iterable[PruneRule]) -> tuple[PruneRule, ...]:
    return tuple(value)


@frozen(kw_only=True)
class PrunePolicy:
    """Which sessions are given up, and which are kept whatever the rules say.

    The rules are about sessions without a parent. One that is given up goes with all of its descendants: its child
    sessions, their children, and so on. All of them stay as long as one of them has not ended, was changed later than
    the rule gives up, is held, or waits for a decision.

    Attributes:
        rules: the rules; the first one that gives a session up counts.
        hold: the path in the metadata that holds a session if there is a value other than null and false; None for no
            such.
        pending_approvals: whether sessions go although somebody could still decide a request of theirs.
        changes_older_than: the changes that were recorded longer ago go from the change feed; None for no change.
    """

    rules: tuple[PruneRule, ...] = field(default=(), converter=_rules)
    hold: FieldName | None = DEFAULT_HOLD
    pending_approvals: bool = False
    changes_older_than: timedelta | None = field(default=None, validator=_is_age_or_none)


_POLICY_KEYS = {"hold": str, "pending_approvals": bool, "changes_older_than": str, "rule": list}
_RULE_KEYS = {"older_than": str, "status": list, "workflows": list, "keep_last": int, "where": dict}


def read_policy(path: Path) -> PrunePolicy:
    """Read a policy from a TOML file.

        hold = "metadata.hold"
        changes_older_than = "30d"

        [[rule]]
        older_than = "90d"
        status = ["completed", "cancelled"]
        workflows = ["refunds"]
        keep_last = 10
        where = { "metadata.tier" = "free" }

    Raises:
        ValidationError: the file cannot be read, or says what no policy says; the error names the key.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValidationError("PrunePolicy", str(path), f"is no policy in TOML: {error}") from error
    _check_keys(str(path), table, _POLICY_KEYS)
    rules = table.pop("rule", [])
    if not rules and "changes_older_than" not in table:
        raise ValidationError("PrunePolicy", str(path), "has no [[rule]] and no changes_older_than, so it says nothing")
    if "changes_older_than" in table:
        table["changes_older_than"] = parse_age(table["changes_older_than"], "changes_older_than")
    if table.get("hold") == "":
        table["hold"] = None
    return PrunePolicy(
        rules=[_rule(f"{path}: [[rule]] {number}", rule) for number, rule in enumerate(rules, 1)], **table
    )


def _rule(place: str, table: Any) -> PruneRule:
    if not isinstance(table, dict):
        raise ValidationError("PrunePolicy", place, "must be a table")
    _check_keys(place, table, _RULE_KEYS)
    if "older_than" not in table:
        raise ValidationError("PrunePolicy", place, "has no older_than, such as older_than = '90d'")
    return PruneRule(**{**table, "older_than": parse_age(table["older_than"], f"{place} older_than")})


def _check_keys(place: str, table: Mapping[str, Any], known: Mapping[str, type]) -> None:
    for key, value in table.items():
        if key not in known:
            raise ValidationError("PrunePolicy", place, f"the key {key!r} is not known; there are {', '.join(known)}")
        if type(value) is not known[key]:
            problem = f"{key} must be {known[key].__name__}, not {type(value).__name__}"
            raise ValidationError("PrunePolicy", place, problem)


def cutoff_of(now: datetime, age: timedelta) -> datetime:
    """Return the instant that long before now, or the first of all."""
    try:
        return now - age
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)
