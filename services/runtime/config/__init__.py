"""Settings from the environment, and the names of all variables."""
