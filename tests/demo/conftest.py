"""Settings that DSPy and litellm read as they are imported, here and in the processes that tests start."""

from __future__ import annotations

import os
import tempfile

_cache = tempfile.TemporaryDirectory(prefix="snakekernel-dspy-")  # removed when the test run ends

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("DSPY_CACHEDIR", _cache.name)
