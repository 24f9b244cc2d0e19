"""Columns of the tables that ``kubectl get`` prints.

A column that shows a field carries the field's documentation as its description, as in
``pkg/printers/internalversion/printers.go``; ``columns.json`` holds those texts, taken from the OpenAPI documents of
Kubernetes v1.36.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from epkit.fake.kinds.base import Column


@cache
def _documentation() -> dict[str, str]:
    texts: dict[str, str] = json.loads(Path(__file__).with_name("columns.json").read_text(encoding="utf-8"))
    return texts


def column(name: str, field: str = "", *, text: str = "", type: str = "string", wide: bool = False) -> Column:
    """A column that shows `field`, such as ``ServiceSpec.type``, or whose description is `text`."""
    return Column(name, type=type, wide=wide, description=text or _documentation()[field])


NAME = Column("Name", format="name", description=_documentation()["ObjectMeta.name"])
AGE = column("Age", "ObjectMeta.creationTimestamp")
#: what ``-o wide`` adds to every workload
CONTAINERS = column("Containers", text="Names of each container in the template.", wide=True)
IMAGES = column("Images", text="Images referenced by each container in the template.", wide=True)
