"""The triggers by which PostgreSQL records changes, since several connections write at once.

Each write of a record adds a row to `changes`, in its own transaction. To change them takes a revision that makes them
again.
"""

_RECORD = """
    INSERT INTO changes (transaction_id, at, changes) VALUES (
        pg_current_xact_id()::text::bigint, clock_timestamp(), json_build_array(json_build_array({entry}))::text
    );
"""
_FUNCTION = (
    "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
)
_STATE = "PERFORM set_config('aaow_storage.recorded_state', NEW.session_id, true);"
"""Notes, until the transaction ends or is rolled back to here, that a change of this execution state is recorded."""
_IS_UNSAID = "current_setting('aaow_storage.recorded_state', true) IS DISTINCT FROM NEW.session_id"
"""Whether no change of the execution state is recorded as the last one."""

_OF_EXECUTION = "coalesce(NEW.session_id, (SELECT e.session_id FROM llm_executions AS e WHERE e.id = NEW.execution_id))"
_KINDS = {
    "workflows": ("workflow", "NEW.id", "NULL"),
    "sessions": ("session", "NEW.id", "NEW.id"),
    "execution_states": ("execution_state", "NEW.session_id", "NEW.session_id"),
    "llm_executions": ("llm_execution", "NEW.id", "NEW.session_id"),
    "tool_call_logs": ("tool_call", "NEW.id", _OF_EXECUTION),
    "budget_pools": ("budget_pool", "NEW.id", "NULL"),
    "approval_requests": ("approval_request", "NEW.id", "NEW.session_id"),
    "stream_events": ("stream_event", "NEW.id", "NEW.session_id"),
}
"""What a change of a row says: its kind, id and session."""
_DELETABLE = ("workflows", "sessions", "budget_pools", "stream_events")
"""The tables whose rows are deleted alone; those of the others go with a session."""
_DIFFERS = "OLD.* IS DISTINCT FROM NEW.*"
_IS_ALONE = "OLD.session_id IS NULL OR EXISTS (SELECT FROM sessions AS s WHERE s.id = OLD.session_id)"
"""Whether an event is not deleted with its session."""


def _functions() -> dict[str, str]:
    """Return the trigger functions, by name."""
    functions = {}
    for table, (kind, record_id, session_id) in _KINDS.items():
        written = _RECORD.format(entry=f"'{kind}', {record_id}, {session_id}, TG_ARGV[0]")
        functions[f"aaow_record_{table}"] = written + (_STATE if table == "execution_states" else "")
        if table in _DELETABLE:
            gone = [part.replace("NEW.", "OLD.") for part in (record_id, session_id)]
            deleted = _RECORD.format(entry=f"'{kind}', {', '.join(gone)}, TG_ARGV[0]")
            is_event = table == "stream_events"
            functions[f"aaow_record_deleted_{table}"] = (
                f"IF {_IS_ALONE} THEN {deleted} END IF;" if is_event else deleted
            )
    node = _RECORD.format(entry="'execution_state', NEW.session_id, NEW.session_id, 'updated'") + _STATE
    functions["aaow_record_node_execution_states"] = f"IF {_IS_UNSAID} THEN {node} END IF;"
    return {name: _FUNCTION.format(name=name, body=body) for name, body in functions.items()}


FUNCTIONS = _functions()
"""The statements that create the functions, by name."""


def _triggers() -> dict[str, dict[str, str]]:
    """Return the triggers of each table, by name."""
    triggers: dict[str, dict[str, str]] = {}
    for table in (*_KINDS, "node_execution_states"):
        call = f"EXECUTE FUNCTION aaow_record_{table}"
        triggers[table] = {
            "aaow_created": f"AFTER INSERT ON {table} FOR EACH ROW {call}('created')",
            "aaow_updated": f"AFTER UPDATE ON {table} FOR EACH ROW WHEN ({_DIFFERS}) {call}('updated')",
        }
        if table in _DELETABLE:
            deleted = f"EXECUTE FUNCTION aaow_record_deleted_{table}('deleted')"
            triggers[table]["aaow_deleted"] = f"AFTER DELETE ON {table} FOR EACH ROW {deleted}"
    return triggers


FIRST_TRIGGERS = _triggers()
"""What follows the name in the statements that create the triggers, by table and name; without that of the status."""

STATUS_TRIGGER = "aaow_updated_status"
"""The trigger on sessions that records a change of the execution state, too. It runs after the one of the session."""
STATUS_TRIGGER_DEFINITION = (
    "AFTER UPDATE OF status ON sessions FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) "
    "EXECUTE FUNCTION aaow_record_status()"
)


def _status_functions() -> dict[str, str]:
    """Return the functions of a store in which an execution state has the status of its session, by name.

    To save a state changes its session and its row; the second of the two is not recorded again.
    """
    recorded = [
        part.replace("NEW.session_id", "NEW.id")
        for part in (_RECORD.format(entry="'execution_state', NEW.session_id, NEW.session_id, 'updated'"), _STATE)
    ]
    has_state = "EXISTS (SELECT FROM execution_states AS e WHERE e.session_id = NEW.id)"
    status = f"IF {has_state} THEN {' '.join(recorded)} END IF;"
    saved = _RECORD.format(entry="'execution_state', NEW.session_id, NEW.session_id, TG_ARGV[0]") + _STATE
    state = f"IF TG_OP = 'INSERT' OR {_IS_UNSAID} THEN {saved} END IF;"
    bodies = {"aaow_record_status": status, "aaow_record_execution_states": state}
    return {name: _FUNCTION.format(name=name, body=body) for name, body in bodies.items()}


STATUS_FUNCTIONS = _status_functions()
"""The statements that create them, of which one replaces the function of that name."""

TRIGGERS = {
    **FIRST_TRIGGERS,
    "sessions": {**FIRST_TRIGGERS["sessions"], STATUS_TRIGGER: STATUS_TRIGGER_DEFINITION},
}
"""All triggers, as `FIRST_TRIGGERS` has them."""
