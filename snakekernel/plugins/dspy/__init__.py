"""The DSPy plugin: configuring language models, describing DSPy's objects, and the legacy commands.

Rules: importing this imports no DSPy; ``PLUGIN.load`` does. The legacy commands translate into the dynamic
operations and implement nothing a second time. Keys are registered as secret before anything else happens.
"""

from __future__ import annotations

from .plugin import PLUGIN

__all__ = ["PLUGIN"]
