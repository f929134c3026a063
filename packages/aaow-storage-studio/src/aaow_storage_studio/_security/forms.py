"""Reads forms, which are short: what is longer is refused before it is in memory."""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request

MAX_FORM_BYTES = 256 * 1024
MAX_FIELDS = 20
FORM_TYPE = "application/x-www-form-urlencoded"


class FormError(Exception):
    """A form was refused.

    Attributes:
        status: the status of the answer.
        problem: why, and what to do.
    """

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(status, problem)
        self.status = status
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; ends of lines are newlines, as they were typed.

    Raises:
        FormError: it is no form, is too long, or has a field twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise FormError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the form has to be sent as {FORM_TYPE}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            raise FormError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the form is longer than {MAX_FORM_BYTES // 1024} KiB"
            )
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:  # also if it is not ASCII or not UTF-8
        raise FormError(HTTPStatus.BAD_REQUEST, "the form cannot be read; send it from the page") from None
    form = dict(fields)
    if len(form) < len(fields):
        raise FormError(HTTPStatus.BAD_REQUEST, "the form has a field twice; send it from the page")
    return {name: value.replace("\r\n", "\n").replace("\r", "\n") for name, value in form.items()}
