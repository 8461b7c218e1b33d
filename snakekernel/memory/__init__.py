"""Big buffers through shared memory, between a kernel and its clients on the same host.

Rules: a segment is anonymous memory without a name in any file system, so that the system frees it with the
last process that holds it, however that ends. It is sealed, read through private mappings, and filled again
only when nobody else has it: what was sent never changes, whoever writes where. Whatever does not work falls
back to the socket.
"""
