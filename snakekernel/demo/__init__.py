"""The demo (``python -m snakekernel.demo``): three examples on real data, and their language model.

Rules: everything here uses the public client alone, needs no network, and imports the optional packages of
the ``demo`` extra only when it runs.
"""
