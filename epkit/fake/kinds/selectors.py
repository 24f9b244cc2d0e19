"""Validation of ``metav1.LabelSelector``, from ``k8s.io/apimachinery/pkg/apis/meta/v1/validation``."""

from __future__ import annotations

from epkit.fake.kinds import names
from epkit.fake.kinds.base import FieldError, Obj, forbidden, invalid, required
from epkit.fake.kinds.metadata import validate_labels


def validate_label_selector(selector: Obj | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if selector is None:
        return errors
    errors += validate_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        here, operator, values = f"{path}.matchExpressions[{index}]", term.get("operator", ""), term.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                errors.append(required(f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                errors.append(
                    forbidden(f"{here}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                )
        else:
            errors.append(invalid(f"{here}.operator", operator, "not a valid selector operator"))
        errors += (invalid(f"{here}.key", term.get("key", ""), fault) for fault in names.label_key(term.get("key", "")))
        for number, value in enumerate(values):
            errors += (invalid(f"{here}.values[{number}]", value, fault) for fault in names.label_value(value))
    return errors


def is_empty(selector: Obj | None) -> bool:
    """An empty selector selects everything."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
