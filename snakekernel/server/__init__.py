"""A pool of kernels behind Jupyter Server."""
