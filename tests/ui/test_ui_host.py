"""The panel in JupyterLab and Notebook 7: it is there, it follows the notebook, and it harms nothing."""

from __future__ import annotations

import pytest
from driving import Front

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]


def test_the_panel_appears_and_cells_run(either: Front) -> None:
    cell = either.run("print('out')")
    assert either.output(cell) == "out\n"
    assert either.execution_count(cell) == 1
