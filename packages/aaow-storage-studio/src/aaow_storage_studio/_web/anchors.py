"""`anchor`: the id of the element of a page that shows a record, for links to a part of the page."""

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")


def anchor(kind: str, record_id: str) -> str:
    """Return the id of an element: `node-plan` for the node "plan"; a digest stands for an id with other letters.

    An id may be any text, but that of an element has no spaces, and a link quotes most letters.
    """
    if _PLAIN.fullmatch(record_id):
        return f"{kind}-{record_id}"
    return f"{kind}-{hashlib.sha256(record_id.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
