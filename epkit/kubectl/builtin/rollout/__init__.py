"""``kubectl rollout``: how a workload's new version is coming along, and going back."""
