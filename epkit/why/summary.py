"""How things stand with a Service, or with a pod behind it, in a sentence or two."""

from __future__ import annotations

from epkit.why.case import Case, pod_label, selector_text, slice_label
from epkit.why.finding import count, listed


def summary(case: Case) -> str:
    return _of_service(case) if case.pod is None else _of_pod(case)


def _of_service(case: Case) -> str:
    if case.external_name:
        return (
            f"svc/{case.name} in {case.namespace} is a name in DNS for "
            f"{str(case.spec.get('externalName', '')).rstrip('.')}."
        )
    address = "headless" if case.headless else str(case.spec.get("clusterIP") or "no cluster IP")
    chosen = f"selector {selector_text(case)}" if case.selector else "no selector"
    text = f"svc/{case.name} in {case.namespace} ({address}, {chosen})"
    if case.reading.slices is None:
        return f"{text}: its slices may not be read."
    rows = [row for row in case.rows if row.slice.get("addressType") in case.families]
    ready = sum(1 for row in rows if row.ready)
    text += f" has {count(len(case.slices), 'slice')}, {ready:,} of {count(len(rows), 'endpoint')} ready."
    dead = [state for state in case.states if state.dead]
    fallback = [state for state in case.states if not state.ready and state.fallback]
    if dead and len(dead) == len(case.states):
        text += " Nobody gets its traffic."
    elif dead:
        text += f" Nobody gets the traffic of {listed(_port(case, state.name, state.family) for state in dead)}."
    if fallback:
        text += " Traffic goes to endpoints that are terminating, as none is ready."
    return text


def _of_pod(case: Case) -> str:
    assert case.pod is not None
    rows = [row for row in case.rows if case.is_of_pod(row)]
    pod, service = pod_label(case.pod), f"svc/{case.name}"
    if case.reading.slices is None:
        return f"Whether {pod} is an endpoint of {service} is not known: slices may not be read."
    if not rows:
        return f"{pod} is no endpoint of {service}."
    row = rows[0]
    if not row.ready:
        state = "terminating" if row.terminating else "not ready"
        return f"{pod} is an endpoint of {service}, and it is {state}: {row.address} in {slice_label(row.slice)}."
    dead = [state for state in case.states if state.dead]
    tail = f" It gets nothing of {listed(_port(case, state.name, state.family) for state in dead)}." if dead else ""
    return f"{pod} is a ready endpoint of {service}: {row.address} in {slice_label(row.slice)}.{tail}"


def _port(case: Case, name: str, family: str) -> str:
    return f"{name} over {family}" if len(case.families) > 1 else name
