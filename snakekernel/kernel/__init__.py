"""The kernel process. The only layer that imports ipykernel."""
