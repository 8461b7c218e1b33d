"""Objects kept on disk: checkpoints, signed with their owner's key."""
