"""A bar of the tokens of a model call: what was read from a cache, what was new, what was thought, what was said."""

from collections.abc import Sequence

from attrs import frozen
from markupsafe import Markup

HEIGHT = 14


@frozen
class TokenShare:
    """A part of the tokens of a call: the class of its colour, what it is called, and how many there are."""

    kind: str
    label: str
    tokens: int


def token_shares(
    prompt: int, completion: int, *, cache_read: int | None, cache_write: int | None, reasoning: int | None
) -> list[TokenShare]:
    """Return the parts that have tokens, which add up; figures that contradict one another are cut."""
    read = min(cache_read or 0, prompt)
    written = min(cache_write or 0, prompt - read)
    thought = min(reasoning or 0, completion)
    shares = [
        TokenShare("cache-read", "from the cache", read),
        TokenShare("cache-write", "into the cache", written),
        TokenShare("prompt", "prompt", prompt - read - written),
        TokenShare("reasoning", "reasoning", thought),
        TokenShare("completion", "answer", completion - thought),
    ]
    return [share for share in shares if share.tokens]


def token_bar(shares: Sequence[TokenShare]) -> Markup:
    """Return the bar as SVG, as wide as its place; the table beside it says the same to those who do not see it."""
    total = sum(share.tokens for share in shares)
    parts, at = [], 0
    for share in shares:
        parts.append(
            Markup('<rect class="{}" x="{:.3f}%" width="{:.3f}%" y="0" height="{}"><title>{} {}</title></rect>').format(
                share.kind, 100 * at / total, 100 * share.tokens / total, HEIGHT, share.tokens, share.label
            )
        )
        at += share.tokens
    bar = Markup('<svg class="token-bar" width="100%" height="{}" aria-hidden="true">').format(HEIGHT)
    return bar + Markup("").join(parts) + Markup("</svg>")
