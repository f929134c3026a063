"""The status of a session and that of its execution state, which are one: whichever is set, the other is set too."""

import attrs

from aaow_storage import Session, SessionStatus, WorkflowExecutionState
from aaow_storage.authoring import apply_changes
from aaow_storage_memory._tables import Tables


def set_status(tables: Tables, session_id: str, status: SessionStatus | None) -> None:
    """Set the status of a session, as an update does; None sets none."""
    if status is not None:
        put_session(tables, apply_changes(tables.existing(Session, session_id), {"status": status}))


def put_session(tables: Tables, session: Session) -> None:
    """Replace a session, and give its execution state its status."""
    tables.put(session.id, session)
    state = tables.get(WorkflowExecutionState, session.id)
    if state is not None and state.status is not session.status:
        tables.put(session.id, attrs.evolve(state, status=session.status))


def put_state(tables: Tables, state: WorkflowExecutionState) -> None:
    """Insert or replace the execution state of a session, and give the session its status."""
    tables.put(state.session_id, state)
    session = tables.existing(Session, state.session_id)
    if session.status is not state.status:
        tables.put(session.id, apply_changes(session, {"status": state.status}))
