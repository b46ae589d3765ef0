"""The command `anima`."""
