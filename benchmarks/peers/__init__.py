"""The peers: one file for each library.

Rules: a file is loaded by its own server process too, which must not pay for other libraries; so nothing is
imported here, and a library only where it is needed.
"""
