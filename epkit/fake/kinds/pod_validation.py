"""Validation of pods and of pod templates.

Source: ``ValidatePodSpec`` and ``ValidatePodUpdate`` of ``pkg/apis/core/validation``, for the fields that a simulated
pod makes use of.
"""

from __future__ import annotations

from collections.abc import Sequence

from epkit.fake.kinds import addresses, names
from epkit.fake.kinds.base import Context, FieldError, Obj, duplicate, forbidden, invalid, required, shown, unsupported
from epkit.fake.kinds.metadata import validate_annotations, validate_labels

PROTOCOLS = frozenset({"TCP", "UDP", "SCTP"})
_RESTART_POLICIES = frozenset({"Always", "OnFailure", "Never"})
_DNS_POLICIES = frozenset({"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"})
_PULL_POLICIES = frozenset({"Always", "IfNotPresent", "Never"})
_MESSAGE_POLICIES = frozenset({"File", "FallbackToLogsOnError"})
_VOLUME_FIELDS_WITHOUT_SOURCE = 1


def validate(pod: Obj, context: Context) -> list[FieldError]:
    return validate_pod_spec(pod["spec"], "spec")


def validate_pod_spec(spec: Obj, path: str) -> list[FieldError]:
    errors, volumes = _validate_volumes(spec.get("volumes") or (), f"{path}.volumes")
    seen: set[str] = set()
    if not spec.get("containers"):
        errors.append(required(f"{path}.containers"))
    errors += _validate_containers(spec.get("containers") or (), volumes, seen, f"{path}.containers")
    errors += _validate_containers(spec.get("initContainers") or (), volumes, seen, f"{path}.initContainers")
    if spec["restartPolicy"] not in _RESTART_POLICIES:
        errors.append(unsupported(f"{path}.restartPolicy", spec["restartPolicy"], _RESTART_POLICIES))
    if spec["dnsPolicy"] not in _DNS_POLICIES:
        errors.append(unsupported(f"{path}.dnsPolicy", spec["dnsPolicy"], _DNS_POLICIES))
    if spec.get("nodeSelector"):
        errors += validate_labels(spec["nodeSelector"], f"{path}.nodeSelector")
    for key, rule in (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("priorityClassName", names.dns_subdomain),
    ):
        if spec.get(key):
            errors += (invalid(f"{path}.{key}", spec[key], fault) for fault in rule(spec[key]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        errors += _validate_toleration(toleration, f"{path}.tolerations[{index}]")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        for fault in addresses.ip(alias.get("ip", "")):
            errors.append(invalid(f"{path}.hostAliases[{index}].ip", alias.get("ip", ""), fault))
    return errors


def _validate_containers(containers: Sequence[Obj], volumes: set[str], seen: set[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, container in enumerate(containers):
        here, name = f"{path}[{index}]", container.get("name", "")
        if not name:
            errors.append(required(f"{here}.name"))
        else:
            errors += (invalid(f"{here}.name", name, fault) for fault in names.dns_label(name))
        if name and name in seen:
            errors.append(duplicate(f"{here}.name", name))
        seen.add(name)
        image = container.get("image", "")
        if not image:
            errors.append(required(f"{here}.image"))
        elif image != image.strip():
            errors.append(invalid(f"{here}.image", image, "must not have leading or trailing whitespace"))
        if container["imagePullPolicy"] not in _PULL_POLICIES:
            errors.append(unsupported(f"{here}.imagePullPolicy", container["imagePullPolicy"], _PULL_POLICIES))
        policy = container["terminationMessagePolicy"]
        if policy not in _MESSAGE_POLICIES:
            errors.append(unsupported(f"{here}.terminationMessagePolicy", policy, _MESSAGE_POLICIES))
        if container.get("ports"):
            errors += _validate_ports(container["ports"], f"{here}.ports")
        if container.get("env"):
            errors += _validate_env(container["env"], f"{here}.env")
        if container.get("volumeMounts"):
            errors += _validate_mounts(container["volumeMounts"], volumes, f"{here}.volumeMounts")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe in container:
                errors += _validate_probe(container[probe], probe, f"{here}.{probe}")
    return errors


def _validate_ports(ports: list[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        here, name = f"{path}[{index}]", port.get("name")
        if name:
            faults = names.port_name(name)
            errors += (invalid(f"{here}.name", name, fault) for fault in faults)
            if not faults and name in seen:
                errors.append(duplicate(f"{here}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if number == 0:
            errors.append(required(f"{here}.containerPort"))
        else:
            errors += (invalid(f"{here}.containerPort", number, fault) for fault in names.port_number(number))
        if port.get("hostPort"):
            errors += (
                invalid(f"{here}.hostPort", port["hostPort"], fault) for fault in names.port_number(port["hostPort"])
            )
        if port["protocol"] not in PROTOCOLS:
            errors.append(unsupported(f"{here}.protocol", port["protocol"], PROTOCOLS))
    return errors


def _validate_env(env: list[Obj], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, variable in enumerate(env):
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif not (name.isascii() and name.isprintable()) or "=" in name:
            text = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            errors.append(invalid(f"{path}[{index}].name", name, text))
        if variable.get("value") and variable.get("valueFrom"):
            errors.append(invalid(f"{path}[{index}].valueFrom", "", "may not be specified when `value` is not empty"))
    return errors


def _validate_mounts(mounts: list[Obj], volumes: set[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif name not in volumes:
            errors.append(FieldError("FieldValueNotFound", f"{path}[{index}].name", f'Not found: "{name}"'))
        if not where:
            errors.append(required(f"{path}[{index}].mountPath"))
        elif where in seen:
            errors.append(invalid(f"{path}[{index}].mountPath", where, "must be unique"))
        seen.add(where)
    return errors


def _validate_volumes(volumes: Sequence[Obj], path: str) -> tuple[list[FieldError], set[str]]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        name = volume.get("name", "")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
            continue
        faults = names.dns_label(name)
        errors += (invalid(f"{path}[{index}].name", name, fault) for fault in faults)
        if name in seen:
            errors.append(duplicate(f"{path}[{index}].name", name))
        sources = [key for key in volume if key != "name"]
        for extra in sources[_VOLUME_FIELDS_WITHOUT_SOURCE:]:
            errors.append(forbidden(f"{path}[{index}].{extra}", "may not specify more than 1 volume type"))
        seen.add(name)
    return errors, seen


def _validate_probe(probe: Obj, kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    handlers = [key for key in ("exec", "httpGet", "tcpSocket", "grpc") if key in probe]
    for extra in handlers[1:]:
        errors.append(forbidden(f"{path}.{extra}", "may not specify more than 1 handler type"))
    if not handlers:
        errors.append(required(path, "must specify a handler type"))
    if "exec" in probe and not probe["exec"].get("command"):
        errors.append(required(f"{path}.exec.command"))
    for key in ("httpGet", "tcpSocket"):
        if key in probe:
            errors += validate_port(probe[key].get("port", 0), f"{path}.{key}.port")
    if "grpc" in probe:
        port = probe["grpc"].get("port", 0)
        errors += (invalid(f"{path}.grpc.port", port, fault) for fault in names.port_number(port))
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(key, 0) < 0:
            errors.append(invalid(f"{path}.{key}", probe[key], "must be greater than or equal to 0"))
    if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        errors.append(invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def validate_port(port: int | str, path: str) -> list[FieldError]:
    """A port by number or by name (``ValidatePortNumOrName``)."""
    if isinstance(port, int):
        return [invalid(path, port, fault) for fault in names.port_number(port)]
    if not port:
        return [required(path)]
    return [invalid(path, port, fault) for fault in names.port_name(port)]


def _validate_toleration(toleration: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    key, operator, effect = toleration.get("key", ""), toleration.get("operator", ""), toleration.get("effect", "")
    if key:
        errors += (invalid(f"{path}.key", key, fault) for fault in names.label_key(key))
    elif operator != "Exists":
        errors.append(
            invalid(
                f"{path}.operator",
                operator,
                'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            )
        )
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        errors.append(invalid(f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator in ("", "Equal"):
        value = toleration.get("value", "")
        errors += (invalid(f"{path}.operator", value, fault) for fault in names.label_value(value))
    elif operator == "Exists":
        if toleration.get("value"):
            errors.append(invalid(f"{path}.operator", toleration, "value must be empty when `operator` is 'Exists'"))
    else:
        errors.append(unsupported(f"{path}.operator", operator, frozenset({"Equal", "Exists"})))
    if effect and effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        errors.append(unsupported(f"{path}.effect", effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"]))
    return errors


def validate_template(template: Obj, path: str) -> list[FieldError]:
    """A pod template of a workload (``ValidatePodTemplateSpec``)."""
    metadata = template.get("metadata") or {}
    errors = validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    errors += validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    return errors + validate_pod_spec(template["spec"], f"{path}.spec")


_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate_update(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    """Most of a pod's spec is immutable (``ValidatePodUpdate``)."""
    after, before = new["spec"], old["spec"]
    if after == before:
        return []
    errors = validate_pod_spec(after, "spec")
    for key in ("containers", "initContainers"):
        if len(after.get(key) or ()) != len(before.get(key) or ()):
            errors.append(forbidden(f"spec.{key}", "pod updates may not add or remove containers"))
            return errors
    errors += _validate_deadline(after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"))
    kept = [_without_seconds(toleration) for toleration in after.get("tolerations") or ()]
    if any(_without_seconds(toleration) not in kept for toleration in before.get("tolerations") or ()):
        text = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(forbidden("spec.tolerations", text))
    if _without_mutable(after, before) != before:
        errors.append(forbidden("spec", _MAY_CHANGE + "\n" + difference(before, _without_mutable(after, before))))
    return errors


def _without_seconds(toleration: Obj) -> Obj:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _validate_deadline(new: int | None, old: int | None) -> list[FieldError]:
    path = "spec.activeDeadlineSeconds"
    if old is None or new == old:
        return []
    if new is None:
        return [invalid(path, None, "must not update from a positive integer to nil value")]
    return [invalid(path, new, "must be less than or equal to previous value")] if new > old else []


def _without_mutable(after: Obj, before: Obj) -> Obj:
    """`after` with the fields that may change set back to what they were."""
    spec = {**after}
    for key in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        spec.pop(key, None)
        if key in before:
            spec[key] = before[key]
    for key in ("containers", "initContainers"):
        if key in spec:
            pairs = zip(spec[key], before[key], strict=True)
            spec[key] = [{**new, "image": old.get("image", "")} for new, old in pairs]
    if before.get("terminationGracePeriodSeconds", 0) < 0 and after.get("terminationGracePeriodSeconds") == 1:
        spec["terminationGracePeriodSeconds"] = before["terminationGracePeriodSeconds"]
    return spec


def difference(before: Obj, after: Obj) -> str:
    """What changed in a spec, in the manner of Go's ``cmp.Diff``: removed lines with "-", added ones with "+"."""
    lines = ["  core.PodSpec{"]
    same = 0
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key):
            same += 1
            continue
        if same:
            lines.append(f"  \t... // {same} identical fields")
            same = 0
        name = key[0].upper() + key[1:]
        if key in before:
            lines.append(f"- \t{name}: {shown(before[key])},")
        if key in after:
            lines.append(f"+ \t{name}: {shown(after[key])},")
    if same:
        lines.append(f"  \t... // {same} identical fields")
    return "\n".join([*lines, "  }", ""])


def validate_status(new: Obj, old: Obj, context: Context) -> list[FieldError]:
    """Addresses must be addresses; a status may not name a node (``ValidatePodStatusUpdate``)."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, entry in enumerate((new.get("status") or {}).get("podIPs") or ()):
        address = entry.get("ip", "")
        for fault in addresses.ip(address):
            errors.append(invalid(f"status.podIPs[{index}]", address, fault))
        if address in seen:
            errors.append(duplicate(f"status.podIPs[{index}]", entry))
        seen.add(address)
    return errors
