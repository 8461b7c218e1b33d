"""Many kernels as one: sized, kept warm, given to calls and sessions, and replaced."""
