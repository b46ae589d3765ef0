"""Items of the memory: their fields, filling, paging and retention."""
