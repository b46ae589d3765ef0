"""`anima up`: the processes of a mesh, and how they are started, watched and stopped."""
