"""The clients: blocking (``client``) and asyncio (``aio``), over one link and one set of operations."""
