"""The operations: one file per command, one table, one dispatcher. No I/O."""
