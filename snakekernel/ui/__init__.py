"""The panel: an extension of JupyterLab and Notebook, and the same as a widget."""
