"""The crews: one file for each library.

Rules: nothing is imported here, for workers load these files too and must not pay for other libraries.
"""
