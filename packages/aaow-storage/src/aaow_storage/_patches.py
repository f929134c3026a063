"""`Patch`: a change of single keys of a JSON object, as RFC 7396 describes it."""

from typing import Any

from attrs import field, frozen

from aaow_storage._attrs_values import Value
from aaow_storage._json import JSON, JSONObject
from aaow_storage._validators import is_json_object


@frozen(eq=False, repr=False)
class Patch(Value):
    """A change of single keys of a JSON object, for `update_...`: a JSON merge patch (RFC 7396).

    A key with a value sets that key, a key with None removes it, and a key with a dict changes the object there in the
    same way; all other keys stay. What is not an object there, or is not there, becomes one. A list is set as a whole.
    The patch is applied to what is stored when the update runs, so concurrent patches of different keys lose nothing.

    A patch cannot set a key to null: name the whole field for that.
    """

    changes: JSONObject = field(validator=is_json_object)

    def applied_to(self, value: JSON) -> JSONObject:
        """Return the object after the change; None, and what is not an object, count as an empty one.

        The value is not changed. The result shares the parts of it that stay.
        """
        return _merged(value, self.changes)


def _merged(value: Any, changes: JSONObject) -> JSONObject:
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in changes.items():
        if change is None:
            merged.pop(key, None)
        elif isinstance(change, dict):
            merged[key] = _merged(merged.get(key), change)
        else:
            merged[key] = change
    return merged
