"""The Pod Security Standards: what a pod at each level may not do, version by version."""
