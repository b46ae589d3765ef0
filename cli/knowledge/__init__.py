"""`anima knowledge`: documents that answers cite."""
