"""Where the parts of a run are shown: the page of a model call or an approval, or a row of the page of the session."""

from aaow_storage_studio._web.anchors import anchor
from aaow_storage_studio._web.run import APPROVAL, MODEL_CALL, Run, Step
from aaow_storage_studio._web.visit import Visit


def step_anchor(step: Step) -> str:
    """Return the id of the row of a step."""
    return anchor({MODEL_CALL: "call", APPROVAL: "approval"}.get(step.kind, "tool"), step.id)


def step_link(visit: Visit, run: Run, step: Step) -> str:
    """Return the link to a step: the model call, also for its tool calls; the approval; or a tool call of the node."""
    if step.kind == APPROVAL:
        return visit.url("approval", id=step.id)
    if step.kind == MODEL_CALL:
        return visit.url("model-call", session=run.session.id, id=step.id)
    if step.call_id is not None:
        return f"{visit.url('model-call', session=run.session.id, id=step.call_id)}#{step_anchor(step)}"
    return f"{visit.same_url(open=step.node_id, raw=None)}#{step_anchor(step)}"
