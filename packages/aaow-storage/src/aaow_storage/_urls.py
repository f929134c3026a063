"""URLs: which backend one names, and how a message shows one without its secrets."""

import re

HIDDEN = "***"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_PLAIN = re.compile(r"[\w./\\~ +-]*")
"""A name or a path; a text with any other character may be a URL or parameters, in a form that is not known."""
_URL = re.compile(
    r"""
    (?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://
    (?:(?P<user>[\w.~%!$'()*+,;-]*)(?P<password>:[^@/]*)?@)?
    (?P<place>
        (?:[\w.~%-]*|\[[\w.:%]+\])(?::[0-9]*)?
        (?:,(?:[\w.~%-]*|\[[\w.:%]+\])(?::[0-9]*)?)*
        (?:/[^?\#@=\s]*)?
    )
    (?P<query>\?[^@]*)?
    """,
    re.VERBOSE | re.DOTALL,
)
_FILE = re.compile(r"(?P<place>file:[^?#@=\s]*)(?P<query>\?[^@]*)?", re.IGNORECASE | re.DOTALL)
_QUERY = re.compile(r"\?(?:[\w.\-]+(?:=[^&;#\s=?]*)?(?:[&;](?!$)|$))*")
_SECRET = r"[\w.\-]*(?:pass|pwd|secret|token|key|credential|auth)[\w.\-]*"  # noqa: S105 - the names of secrets
_NAMES_SECRET = re.compile(rf"[?&;]{_SECRET}=", re.IGNORECASE)
_PARAMETER = re.compile(rf"((?:^|[?&\s;]){_SECRET}\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^&\s;#]*)", re.IGNORECASE)
_EMBEDDED = re.compile(r"\b[A-Za-z][A-Za-z0-9+.\-]*://\S*")


def url_scheme(text: str) -> str | None:
    """Return the scheme of a URL in lower case, or None if the text is not a URL."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def space_problem(text: str) -> str | None:
    """Return what is wrong with a URL that has white space around it, such as a newline, or None."""
    stripped = text.strip()
    if text == stripped or not (_SCHEME.match(stripped) or text.rstrip("\r\n") != text):
        return None
    where = "ends in a newline" if text.endswith(("\n", "\r")) else "has white space before or after it"
    return f"{where}, which is not part of a URL or a name; strip it, as in url.strip()"


def redacted_url(url: str) -> str:
    """Return a URL for messages, with three asterisks in place of its password and of parameters that hold a secret.

    A password with an unencoded `/`, `@` or `#` makes all other parts ambiguous. So of a text that is not certainly a
    URL, a path or a name, only the scheme is kept, and if one parameter holds a secret, none is kept.
    """
    if _PLAIN.fullmatch(url):
        return url
    match = _URL.fullmatch(url) or _FILE.fullmatch(url)
    query = (match["query"] or "") if match else ""
    has_secret = _NAMES_SECRET.search(query) is not None
    if match is None or not (has_secret or _QUERY.fullmatch(query or "?")):
        scheme = _SCHEME.match(url)
        return f"{scheme[1]}:{HIDDEN}" if scheme else HIDDEN
    shown_query = f"?{HIDDEN}" if has_secret else query
    if match.re is _FILE:
        return match["place"] + shown_query
    user = "" if match["user"] is None else match["user"] + ("" if match["password"] is None else f":{HIDDEN}") + "@"
    return f"{match['scheme']}://{user}{match['place']}{shown_query}"


def redacted_text(text: str) -> str:
    """Return a message, such as a driver's, with the URLs in it redacted, and every parameter that holds a secret."""
    return _PARAMETER.sub(rf"\1{HIDDEN}", _EMBEDDED.sub(lambda match: redacted_url(match[0]), text))


def redacted_value(text: str) -> str:
    """Return the text of a wrong value, redacted if it looks like a URL or its parameters."""
    return redacted_url(text) if "@" in text or "://" in text or _PARAMETER.search(text) else text
