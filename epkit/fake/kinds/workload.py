"""What the kinds with a pod template share: checks of the selector, the template and the counts.

Source: ``pkg/apis/apps/validation/validation.go``.
"""

from __future__ import annotations

import re
from typing import Any

from epkit import selectors as matching
from epkit.fake.kinds import selectors
from epkit.fake.kinds.base import FieldError, Obj, forbidden, invalid, required, unsupported
from epkit.fake.kinds.pod_validation import validate_template

_is_percent = re.compile("[0-9]+%").fullmatch
_NOT_A_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
AT_LEAST_ZERO = "must be greater than or equal to 0"


def non_negative(spec: Obj, *keys: str) -> list[FieldError]:
    """Faults of counts and seconds below zero."""
    return [invalid(f"spec.{key}", spec[key], AT_LEAST_ZERO) for key in keys if (spec.get(key) or 0) < 0]


def validate_selector(spec: Obj, empty: str) -> list[FieldError]:
    """`empty` is what upstream says of a selector that selects everything."""
    selector = spec.get("selector")
    if selector is None:
        return [required("spec.selector")]
    errors = selectors.validate_label_selector(selector, "spec.selector")
    if selectors.is_empty(selector):
        errors.append(invalid("spec.selector", selector, empty))
    return errors


def validate_pods_of(spec: Obj, kind: str, restart: tuple[str, ...] = ("Always",)) -> list[FieldError]:
    """The template must be valid and carry labels that the selector selects."""
    path, template, selector = "spec.template", spec["template"], spec.get("selector")
    labels = (template.get("metadata") or {}).get("labels") or {}
    errors: list[FieldError] = []
    if selector and not selectors.is_empty(selector) and not matching.of_label_selector(selector)(labels):
        errors.append(invalid(f"{path}.metadata.labels", labels, "`selector` does not match template `labels`"))
    errors += validate_template(template, path)
    policy = template["spec"]["restartPolicy"]
    if policy not in restart and policy in ("Always", "OnFailure", "Never"):
        errors.append(unsupported(f"{path}.spec.restartPolicy", policy, restart))
    if kind and template["spec"].get("activeDeadlineSeconds") is not None:
        errors.append(
            forbidden(f"{path}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")
        )
    return errors


def validate_count_or_percent(value: Any, path: str) -> list[FieldError]:
    """``ValidatePositiveIntOrPercent``."""
    if isinstance(value, str):
        return [] if _is_percent(value) else [invalid(path, value, _NOT_A_PERCENT)]
    return [invalid(path, value, AT_LEAST_ZERO)] if value < 0 else []


def at_most_all(value: Any, path: str) -> list[FieldError]:
    """``IsNotMoreThan100Percent``."""
    if isinstance(value, str) and _is_percent(value) and int(value[:-1]) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def is_zero(value: Any) -> bool:
    """Is it 0 or 0 %?"""
    return value in (0, "0%") or (isinstance(value, str) and _is_percent(value) is not None and int(value[:-1]) == 0)
