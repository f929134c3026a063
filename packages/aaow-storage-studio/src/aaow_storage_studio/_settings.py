"""`StudioSettings`: what a studio may show and do, and to whom."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from aaow_storage.errors import ValidationError
from aaow_storage_studio._drawing.definition import Graph

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def _names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


def _patterns(values: Sequence[str | re.Pattern[str]]) -> tuple[re.Pattern[str], ...]:
    compiled = []
    for value in values:
        try:
            compiled.append(re.compile(value))
        except (re.error, TypeError) as error:
            problem = f"{value!r} is no regular expression: {error}"
            raise ValidationError("StudioSettings", "redact", problem) from None
    return tuple(compiled)


@frozen(kw_only=True)
class StudioSettings:
    """What a studio may show and do, and to whom.

    Attributes:
        allow_decisions: whether requests can be approved and rejected; everything else is only shown, in any case.
        decides_as: who decides, for a studio of one person.
        decider_header: the header in which a trusted proxy says who decides, such as `X-Forwarded-User`. It counts
            only in requests that come from an address of `trusted_proxies`, and before `decides_as`.
        trusted_proxies: the addresses of such proxies.
        allowed_hosts: the names that a request may address the studio by, without a port. Requests with another `Host`
            are refused, because a page of another site may have had its name resolved to this machine.
        token: what a browser has to show once, as `?token=...`, to get its cookie; None if the program that mounts the
            studio signs people in itself.
        redact: regular expressions; what they match in texts and JSON of records is replaced on pages and in their
            JSON. Ids are shown as they are, because links need them.
        graph: makes a graph of a workflow's definition that has not the usual shape; it returns None if it cannot.
        store_name: what the pages call the store; without a password.
    """

    allow_decisions: bool = False
    decides_as: str | None = None
    decider_header: str | None = None
    trusted_proxies: Sequence[str] = field(default=(), converter=_names)
    allowed_hosts: Sequence[str] = field(default=LOOPBACK, converter=_names)
    token: str | None = field(default=None, repr=False)
    redact: Sequence[re.Pattern[str]] = field(default=(), converter=_patterns)
    graph: Callable[[Mapping[str, Any]], Graph | None] | None = None
    store_name: str = "the store"

    def __attrs_post_init__(self) -> None:
        """Check what belongs together.

        Raises:
            ValidationError: decisions are allowed, but nothing says who decides.
        """
        if self.allow_decisions and not (self.decides_as or self.decider_header):
            problem = "needs decides_as or decider_header, so that each decision has a name"
            raise ValidationError("StudioSettings", "allow_decisions", problem)
        if self.decider_header and not self.trusted_proxies:
            problem = "needs trusted_proxies, because anybody can send a header"
            raise ValidationError("StudioSettings", "decider_header", problem)
