"""Job, batch/v1. Source: ``pkg/apis/batch``, ``pkg/registry/batch/job/strategy.go`` and ``printJob``."""

from __future__ import annotations

from typing import Any

from epkit.fake.kinds import pod_warnings, printing, workload
from epkit.fake.kinds.base import Context, FieldError, Kind, Obj, invalid, required, unsupported
from epkit.fake.kinds.columns import AGE, CONTAINERS, IMAGES, NAME, column
from epkit.fake.kinds.common import drop_empty, fill, keep_spec, keep_status
from epkit.fake.kinds.metadata import immutable
from epkit.fake.kinds.names import name_is_subdomain
from epkit.fake.kinds.pod_defaults import default_template

_UNLIMITED = 2**31 - 1
_UID_LABELS = ("controller-uid", "batch.kubernetes.io/controller-uid")
_NAME_LABELS = ("job-name", "batch.kubernetes.io/job-name")
_MODES = frozenset({"NonIndexed", "Indexed"})
_STATES = (
    ("Complete", "Complete"), ("Failed", "Failed"), ("", "Terminating"), ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)  # fmt: skip


def default(job: Obj) -> None:
    drop_empty(job)
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill(spec, {
        "parallelism": 1,
        "backoffLimit": _UNLIMITED if "backoffLimitPerIndex" in spec else 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed",
    })  # fmt: skip
    default_template(spec.setdefault("template", {}))
    for condition in job.setdefault("status", {}).get("conditions") or ():
        fill(condition, {"lastProbeTime": None, "lastTransitionTime": None})


def prepare_create(job: Obj, context: Context) -> None:
    """A Job finds its pods by labels that it makes up itself, unless it is told to use given ones."""
    job["status"] = {}
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec["template"]["metadata"]
    labels = dict(template.get("labels") or {})
    labels.update(
        dict.fromkeys(_NAME_LABELS, metadata.get("name", "")) | dict.fromkeys(_UID_LABELS, metadata.get("uid", ""))
    )
    template["labels"] = labels
    if not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    spec.setdefault("selector", {"matchLabels": {_UID_LABELS[1]: metadata.get("uid", "")}})


def validate(job: Obj, context: Context) -> list[FieldError]:
    spec = job["spec"]
    errors: list[FieldError] = []
    if spec.get("selector") is None:
        errors.append(required("spec.selector"))
    errors += workload.non_negative(
        spec, "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"
    )
    if spec["completionMode"] not in _MODES:
        errors.append(unsupported("spec.completionMode", spec["completionMode"], _MODES))
    elif spec["completionMode"] == "Indexed" and "completions" not in spec:
        errors.append(required("spec.completions", "when completion mode is Indexed"))
    errors += workload.validate_pods_of(spec, "", restart=("Always", "OnFailure", "Never"))
    if spec["template"]["spec"]["restartPolicy"] not in ("OnFailure", "Never"):
        errors.append(required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
    return errors


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    after, before = new["spec"], old["spec"]
    if after == before:
        return []
    errors = validate(new, context)
    for key in ("completions", "selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"):
        if key == "completions" and after["completionMode"] == "Indexed":
            if after.get(key) != before.get(key) and after.get(key) != after.get("parallelism"):
                text = "can only be modified in tandem with .spec.parallelism"
                errors.append(invalid("spec.completions", after.get(key), text))
            continue
        errors += immutable(f"spec.{key}", after.get(key), before.get(key))
    return errors


def row(job: Obj, now: float) -> list[Any]:
    spec, status = job["spec"], job.get("status") or {}
    done, wanted, parallelism = status.get("succeeded", 0), spec.get("completions"), spec.get("parallelism") or 0
    completions = (
        f"{done}/{wanted}" if wanted is not None else f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"
    )
    duration, started, finished = "", status.get("startTime"), status.get("completionTime")
    if started:
        end = printing.seconds_of(finished) if finished else now
        duration = printing.human_duration(end - printing.seconds_of(started))
    return [
        job["metadata"]["name"],
        _state(job),
        completions,
        duration,
        printing.age(job, now),
        *printing.template_cells(spec["template"]),
        printing.label_selector(spec.get("selector")) or printing.NONE,
    ]


def _state(job: Obj) -> str:
    conditions = (job.get("status") or {}).get("conditions") or ()
    true = {entry.get("type") for entry in conditions if entry.get("status") == "True"}
    for condition, shown in _STATES:
        if condition in true or (not condition and job["metadata"].get("deletionTimestamp")):
            return shown
    return "Running"


JOB = Kind(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    schema="io.k8s.api.batch.v1.Job",
    categories=("all",),
    status=True,
    columns=(
        NAME,
        column("Status", text="Status of the job."),
        column("Completions", "JobStatus.succeeded"),
        column("Duration", text="Time required to complete the job."),
        AGE,
        CONTAINERS,
        IMAGES,
        column("Selector", "JobSpec.selector", wide=True),
    ),
    row=row,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec,
    validate=validate,
    validate_update=validate_update,
    warnings=pod_warnings.of_workload,
    validate_name=name_is_subdomain,
    default_propagation="Orphan",  # of batch/v1, for compatibility; kubectl asks for Background
    field_labels={"status.successful": lambda job: str((job.get("status") or {}).get("succeeded", 0))},
)
