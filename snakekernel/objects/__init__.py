"""The kernel's objects: the store, sessions, targets, the target policy and secrets. No I/O."""
