"""What the registry needs to know of a URL: which backend it names, and how to show it without its password."""

import re

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*):")
_USERINFO = re.compile(r"(?<=//)([^:@]*):.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(
    r"((?:^|[?&\s;])[\w.\-]*(?:pass|pwd|secret|token|api_?key|credential)[\w.\-]*\s*=\s*)"
    r"(?:'(?:[^'\\]|\\.)*'|[^&\s;#]*)",
    re.IGNORECASE,
)


def url_scheme(text: str) -> str | None:
    """Return what stands before the first colon of a URL, in lower case, or None where the text is no URL."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def redacted_url(url: str) -> str:
    """Return the URL with `***` for its password and for every parameter that looks like a secret.

    A password may hold `/`, `@` and `#`, encoded or not: everything from the colon to the last `@` is taken for it.
    """
    return _SECRET_PARAMETER.sub(r"\1***", _USERINFO.sub(r"\1:***@", url))
