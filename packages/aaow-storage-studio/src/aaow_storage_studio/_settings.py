"""`StudioSettings`: what a studio may show and do, and to whom."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from aaow_storage import SessionStatus
from aaow_storage.authoring import SessionStatusWord, redacted_text
from aaow_storage.errors import ValidationError
from aaow_storage_studio._drawing.definition import Graph

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

MIN_TOKEN_LENGTH = 8
"""How many characters a token has at least: a shorter one can be guessed."""


def _names(values: str | Iterable[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


def _status(value: SessionStatus | SessionStatusWord | None) -> SessionStatus | None:
    try:
        return None if value is None else SessionStatus(value)
    except ValueError:
        problem = f"has to be one of {', '.join(SessionStatus)}, not {value!r}"
        raise ValidationError("StudioSettings", "the status of a session after a decision", problem) from None


def _patterns(values: Sequence[str | re.Pattern[str]]) -> tuple[re.Pattern[str], ...]:
    compiled = []
    for value in [values] if isinstance(values, str) else values:
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
        trusted_proxies: the addresses of such proxies, as the server that runs the studio sees them. That server must
            not take addresses from `X-Forwarded-For`: with uvicorn, `proxy_headers=False`. Their `X-Forwarded-Proto`
            says whether the browser's connection is encrypted.
        approved_status: the status that the session of a request gets in the same step as its approval, such as queued;
            without, the session stays as it is, for its program to go on.
        rejected_status: the same for a rejection.
        allowed_hosts: the names that a request may address the studio by, without a port. Requests with another `Host`
            are refused, because a page of another site may have had its name resolved to this machine.
        token: what a browser has to show once, as `?token=...`, to get its cookie; None if the program that mounts the
            studio signs people in itself.
        redact: regular expressions; what they match in texts and JSON of records is replaced on pages and in their
            JSON. Ids are shown as they are, because links need them. It hides, and protects from nobody who may filter:
            a filter finds what is redacted.
        graph: makes a graph of a workflow's definition that has not the usual shape; it returns None if it cannot.
        store_name: what the pages call the store; without a password.
    """

    allow_decisions: bool = False
    decides_as: str | None = None
    decider_header: str | None = None
    trusted_proxies: Sequence[str] = field(default=(), converter=_names)
    approved_status: SessionStatus | None = field(default=None, converter=_status)
    rejected_status: SessionStatus | None = field(default=None, converter=_status)
    allowed_hosts: Sequence[str] = field(default=LOOPBACK, converter=_names)
    token: str | None = field(default=None, repr=False)
    redact: Sequence[re.Pattern[str]] = field(default=(), converter=_patterns)
    graph: Callable[[Mapping[str, Any]], Graph | None] | None = None
    store_name: str = field(default="the store", converter=redacted_text)

    def __attrs_post_init__(self) -> None:
        """Check what belongs together.

        Raises:
            ValidationError: decisions are allowed, but nothing says who decides; anybody could say it, or guess the
                token.
        """
        if self.token is not None and len(self.token) < MIN_TOKEN_LENGTH:
            problem = f"has {len(self.token)} characters, and needs at least {MIN_TOKEN_LENGTH}, or it is guessed"
            raise ValidationError("StudioSettings", "token", problem)
        if self.decides_as is not None and not self.decides_as.strip():
            raise ValidationError("StudioSettings", "decides_as", "is empty; name who decides")
        if self.allow_decisions and not (self.decides_as or self.decider_header):
            problem = "needs decides_as or decider_header, so that each decision has a name"
            raise ValidationError("StudioSettings", "allow_decisions", problem)
        if self.decider_header and not self.trusted_proxies:
            problem = "needs trusted_proxies, because anybody can send a header"
            raise ValidationError("StudioSettings", "decider_header", problem)
