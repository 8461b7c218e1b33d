"""Conformance kits for codecs, commands, descriptions and the store; they need pytest and hypothesis."""
