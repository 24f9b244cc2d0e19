"""The completion indexes of an Indexed Job, and what its pods carry of them.

Source: ``pkg/controller/job/indexed_job_utils.go`` of Kubernetes v1.36.
"""
from __future__ import annotations

from collections.abc import Iterable

from epkit.objects import Obj, annotations_of

INDEX = "batch.kubernetes.io/job-completion-index"
_VARIABLE = "JOB_COMPLETION_INDEX"


def is_indexed(job: Obj) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Obj) -> int:
    """The pod's index; -1 where it has none."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdigit() else -1


def parse(text: str, completions: int) -> set[int]:
    """The indexes of ``status.completedIndexes`` that are below `completions`.

    >>> sorted(parse("1,3-5,7", 6))
    [1, 3, 4, 5]
    """
    indexes: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        indexes.update(range(int(first), int(last or first) + 1))
    return {index for index in indexes if index < completions}


def format(indexes: Iterable[int]) -> str:
    """The inverse of :func:`parse`: three or more in a row are written as an interval.

    >>> format({1, 3, 4, 5, 7, 8})
    '1,3-5,7,8'
    """
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if run and index != run[-1] + 1:
            parts.append(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)))
            run = []
        if index is not None:
            run.append(index)
    return ",".join(parts)


def first_pending(taken: set[int], count: int, completions: int) -> list[int]:
    """The lowest `count` indexes that are neither done nor being worked at."""
    return [index for index in range(completions) if index not in taken][:count]


def template_for(template: Obj, job_name: str, index: int) -> Obj:
    """The template of the pod with that index: annotation, label, hostname and variable."""
    metadata, spec = dict(template.get("metadata") or {}), dict(template["spec"])
    for field in ("annotations", "labels"):
        metadata[field] = {**(metadata.get(field) or {}), INDEX: str(index)}
    spec["hostname"] = f"{job_name}-{index}"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [_with_variable(container, source) for container in spec[field]]
    return {**template, "metadata": metadata, "spec": spec}


def _with_variable(container: Obj, source: Obj) -> Obj:
    variables = container.get("env") or []
    if any(variable["name"] == _VARIABLE for variable in variables):
        return container
    return {**container, "env": [*variables, {"name": _VARIABLE, "valueFrom": source}]}
