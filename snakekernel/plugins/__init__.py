"""Framework plugins: what they are (``api``), how they are found (``load``), and the built-in ones."""
