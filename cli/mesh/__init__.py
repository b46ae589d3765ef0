"""`anima up`: which processes a mesh has, and how they are started, watched and stopped."""
