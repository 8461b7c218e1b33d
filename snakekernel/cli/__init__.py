"""The command line, ``snakekernel`` and ``jupyter snakekernel``: one file per group of subcommands.

Rules: every subcommand answers with one document and a way to show it; ``app`` prints one of the two and
turns every error into a sentence or, with ``--json``, into a document of the same form as the protocol's.
"""
