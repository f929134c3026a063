"""The first error comes out, with notes of what the clean-up after it raised."""

import asyncio

import pytest

from aaow_storage.authoring import cleaning_up_after, run_all, storage_errors_alone, unforeseen
from aaow_storage.errors import StorageError, StorageUnavailableError


def fail(error: BaseException) -> None:
    """Raise."""
    raise error


def test_what_a_clean_up_raises_becomes_a_note_of_the_error_before_it():
    first = ZeroDivisionError()
    with cleaning_up_after(first):
        fail(OSError("no room"))
    assert first.__notes__ == ["The clean-up after it failed too: OSError: no room"]


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt])
def test_a_cancellation_of_a_clean_up_goes_through(kind: type[BaseException]):
    first = ZeroDivisionError()
    with pytest.raises(kind), cleaning_up_after(first):
        fail(kind())
    assert not hasattr(first, "__notes__")


def test_every_step_of_a_clean_up_is_run_and_the_first_error_comes_out():
    steps: list[int] = []
    first = OSError("one")
    with pytest.raises(OSError, match="one") as caught:
        run_all(
            lambda: steps.append(1),
            lambda: fail(first),
            lambda: steps.append(2),
            lambda: fail(ValueError("two")),
            lambda: steps.append(3),
        )
    assert steps == [1, 2, 3]
    assert caught.value is first
    assert first.__notes__ == ["The clean-up after it failed too: ValueError: two"]
    run_all()


@pytest.mark.parametrize("error", [StorageError("one"), asyncio.CancelledError(), KeyboardInterrupt()])
def test_storage_errors_and_cancellations_are_raised_as_they_are(error: BaseException):
    with pytest.raises(type(error)) as caught, storage_errors_alone():
        fail(error)
    assert caught.value is error
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("error", "kind", "match"),
    [
        (OSError(24, "Too many open files"), StorageUnavailableError, "refused"),
        (MemoryError(), StorageUnavailableError, "refused"),
        (RuntimeError("can't start new thread"), StorageUnavailableError, "refused"),
        (AttributeError("x"), StorageError, "unforeseen AttributeError: x"),
    ],
)
def test_any_other_exception_becomes_the_cause_of_a_storage_error(
    error: Exception, kind: type[StorageError], match: str
):
    with pytest.raises(StorageError, match=match) as caught, storage_errors_alone():
        fail(error)
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_a_backend_says_what_its_own_exceptions_mean_and_what_their_cause_is():
    cause = OSError("of the driver")

    def meant(error: Exception) -> StorageError:
        made = unforeseen(error)
        made.__cause__ = cause
        return made

    with pytest.raises(StorageError, match="ValueError") as caught, storage_errors_alone(meant):
        fail(ValueError("wrapped"))
    assert caught.value.__cause__ is cause
