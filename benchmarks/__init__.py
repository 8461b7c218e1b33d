"""Benchmarks: peers measured side by side in one run, reported as ratios. ``python -m benchmarks``."""
