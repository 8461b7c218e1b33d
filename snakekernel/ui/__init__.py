"""The panel: an extension of JupyterLab and Notebook, and the same as a widget.

Rules: what only the widget needs is imported when one is made; the kernel and its clients do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .widget import PanelWidget


def panel(*, height: str = "420px") -> PanelWidget:
    """The panel of this notebook's kernel, as a widget: its stored objects and the notebook's variables.

    Args:
        height: of the widget, as in CSS.

    Raises ImportError where anywidget is not installed, and RuntimeError outside of a snakekernel.
    """
    try:
        import anywidget  # noqa: F401
    except ImportError:
        raise ImportError(
            'snakekernel.panel() needs anywidget: install it with pip install "snakekernel[ui]".'
        ) from None
    from .widget import PanelWidget

    return PanelWidget(height=height)
