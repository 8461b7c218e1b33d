"""The wire: names, types, bytes and errors of the protocol. No I/O; the standard library and msgspec only."""
