"""The scikit-learn plugin: parameters, fitted attributes, pipelines and the estimator's own HTML view.

Rules: importing this imports no scikit-learn; estimators are asked only after somebody else imported it.
"""

from __future__ import annotations

from .plugin import PLUGIN

__all__ = ["PLUGIN"]
