"""``snakekernel serve``: a Jupyter Server whose kernels come from pools. Needs the extra ``serve``."""
