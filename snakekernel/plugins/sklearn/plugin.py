"""What the kernel asks of the scikit-learn plugin.

Rules: parameters and fitted attributes are described shallowly and within the describer's budget; the HTML
view is whole or absent, since half of a page is none.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from ..api import Plugin

if TYPE_CHECKING:
    from ...commands.scope import Scope
    from ...inspection import Describer

#: Characters of an estimator's HTML view beyond which it is left out.
_LONGEST_HTML: Final = 256 << 10


class SklearnPlugin(Plugin):
    """scikit-learn: estimators, transformers, pipelines."""

    name = "sklearn"
    hint = "pip install 'snakekernel[sklearn]'"

    def configure(self, config: Mapping[str, Any], scope: Scope) -> str:
        """``sklearn.set_config``, or with a session ``sklearn.config_context`` around its calls."""
        sklearn = self.load()
        session = scope.session
        if session is None:
            scope.runtime.on_main(lambda: sklearn.set_config(**config))
            return f"sklearn configured: {', '.join(config)}"
        state = {**session.frameworks.get(self.name, {}), **config}
        with sklearn.config_context(**state):  # refuses a wrong option now rather than at every call
            session.frameworks = {**session.frameworks, self.name: state}
        return f"sklearn configured for session {session.id!r}: {', '.join(config)}"

    def session_context(self, state: Any) -> AbstractContextManager[Any]:
        """``sklearn.config_context`` with what the session configured."""
        context: AbstractContextManager[Any] = self.load().config_context(**state)
        return context

    def describe(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """``parameters``, ``fitted``, ``fitted_attributes``, and ``steps`` of a pipeline."""
        base = sys.modules.get("sklearn.base")
        if base is None or not isinstance(obj, base.BaseEstimator):
            return None
        most = describer.budget.attributes
        parameters = obj.get_params(deep=False)
        fitted = {name: value for name, value in vars(obj).items() if is_fitted_name(name)}
        found: dict[str, Any] = {
            "parameters": {k: describer.preview(v) for k, v in islice(parameters.items(), most)},
            "fitted": _is_fitted(obj, bool(fitted)),
            "fitted_attributes": {k: _shallow(v, describer) for k, v in islice(fitted.items(), most)},
        }
        # The neutral attributes would say all of it a second time.
        found["attributes"] = {**found["parameters"], **found["fitted_attributes"]}
        steps = _steps(obj)
        if steps is not None:
            found["steps"] = steps[: describer.budget.items]
        return found

    def inspect(self, obj: Any, describer: Describer) -> dict[str, Any] | None:
        """The description's facts under the key ``sklearn``, and ``html``: the estimator's own view."""
        found = self.describe(obj, describer)
        if found is None:
            return None
        del found["attributes"]
        from sklearn.utils import estimator_html_repr

        html = estimator_html_repr(obj)
        return {"sklearn": found, "html": html if len(html) <= _LONGEST_HTML else None}


def is_fitted_name(name: str) -> bool:
    """Whether an attribute's name says that fitting made it: ``coef_``, not ``_private_``."""
    return name.endswith("_") and not name.startswith("_")


def _is_fitted(obj: Any, has_fitted_attributes: bool) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(obj)
    except NotFittedError:
        return False
    except TypeError:  # it has no fit to begin with
        return has_fitted_attributes
    return True


def _shallow(value: Any, describer: Describer) -> dict[str, Any]:
    described = describer.preview(value)
    # Trees of a forest, steps of a search: what they hold is for an inspection of them.
    return {name: field for name, field in described.items() if name not in ("attributes", "items")}


def _steps(obj: Any) -> list[dict[str, Any]] | None:
    """Name, type and module of each part of a pipeline, a union or a column transformer."""
    for name in ("steps", "transformer_list", "transformers"):
        parts = vars(obj).get(name)
        if isinstance(parts, list):
            return [
                {"name": str(part[0]), "type": type(part[1]).__name__, "module": type(part[1]).__module__}
                if not isinstance(part[1], str)
                else {"name": str(part[0]), "type": part[1], "module": None}
                for part in parts
                if isinstance(part, tuple) and len(part) >= 2
            ]
    return None


PLUGIN = SklearnPlugin()
