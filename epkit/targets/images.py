"""The one image that epkit itself starts pods with on a live cluster."""

from __future__ import annotations

#: Kubernetes' own test image, about 50 MB: ``netexec`` serves the pod's hostname over HTTP, and there are curl,
#: nslookup and a shell; a readiness probe can ask for a file. Published by SIG Testing in registry.k8s.io.
LAB_IMAGE = (
    "registry.k8s.io/e2e-test-images/agnhost:2.53"
    "@sha256:99c6b4bb4a1e1df3f0b3752168c89358794d02258ebebc26bf21c29399011a85"
)
