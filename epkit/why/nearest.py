"""The nearest thing to what was asked for: names, and labels of pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from epkit.objects import Obj, labels_of, name_of

#: Below this likeness two words have nothing to do with each other.
_ALIKE = 0.55
#: Labels that a controller adds to every pod of its own: nobody selects by them.
_GENERATED = frozenset((
    "pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index", "batch.kubernetes.io/controller-uid", "controller-uid",
    "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
))  # fmt: skip
#: How many different sets of labels are compared; a namespace has far fewer, as pods of one workload share theirs.
_MOST = 500


def likeness(one: str, other: str) -> float:
    """0 for nothing in common, 1 for equal, whatever the case."""
    return SequenceMatcher(None, one.lower(), other.lower(), autojunk=False).ratio()


def alike(one: str, other: str) -> bool:
    """
    >>> alike("web", "wbe"), alike("web", "postgres")
    (True, False)
    """
    return likeness(one, other) >= _ALIKE


def names(wanted: str, there: Iterable[str], most: int = 3) -> list[str]:
    """The names that are like the wanted one, nearest first; all of them where there are few and none is alike.

    >>> names("wbe", ["web", "db", "web-2"])
    ['web', 'web-2']
    """
    there = sorted(set(there))
    ranked = sorted(((likeness(wanted, name), name) for name in there), key=lambda pair: (-pair[0], pair[1]))
    alike = [name for ratio, name in ranked if ratio >= _ALIKE or wanted in name][:most]
    return alike or ([name for _, name in ranked] if len(there) <= most else [])


@dataclass(frozen=True)
class Miss:
    """A pod whose labels come near to a selector.

    Attributes:
        pod: one pod with these labels.
        differences: a phrase for every pair of the selector that it lacks.
        likeness: between 0 and 1, over all pairs of the selector.
    """

    pod: Obj
    differences: tuple[str, ...]
    likeness: float

    @property
    def near(self) -> bool:
        return self.likeness >= _ALIKE


def of_pod(selector: Mapping[str, str], pod: Obj) -> Miss:
    """How far the labels of `pod` are from a selector."""
    labels = {key: value for key, value in labels_of(pod).items() if key not in _GENERATED or key in selector}
    total, differences = 0.0, []
    for key, value in sorted(selector.items()):
        if labels.get(key) == value:
            total += 1
            continue
        ratio, difference = _difference(key, value, labels)
        total += ratio
        differences.append(difference)
    return Miss(pod, tuple(differences), total / len(selector))


def miss(selector: Mapping[str, str], pods: Iterable[Obj]) -> Miss | None:
    """The pod that comes nearest to a selector, or None where there are no pods."""
    different: dict[tuple[tuple[str, str], ...], Obj] = {}
    for pod in sorted(pods, key=name_of):
        labels = tuple(sorted(pair for pair in labels_of(pod).items() if pair[0] not in _GENERATED))
        different.setdefault(labels, pod)
        if len(different) == _MOST:
            break
    return max((of_pod(selector, pod) for pod in different.values()), key=lambda one: one.likeness, default=None)


def _difference(key: str, value: str, labels: Mapping[str, str]) -> tuple[float, str]:
    """How near the labels come to a pair, and in which words to say it."""
    if key in labels:
        return 0.5 + likeness(value, labels[key]) / 2, f"{key}={labels[key]} where the selector wants {key}={value}"
    same_value = sorted(other for other, found in labels.items() if found == value)
    if same_value:
        other = max(same_value, key=lambda word: (likeness(key, word), word))
        return 0.5 + likeness(key, other) / 2, f"{other}={value} where the selector wants {key}={value}"
    pair = max(labels.items(), key=lambda item: (likeness(f"{key}={value}", "=".join(item)), item), default=None)
    ratio = likeness(f"{key}={value}", "=".join(pair)) if pair else 0.0
    if pair and ratio >= _ALIKE:
        return ratio, f"{pair[0]}={pair[1]} where the selector wants {key}={value}"
    return 0.0, f"no label {key}, where the selector wants {key}={value}"
