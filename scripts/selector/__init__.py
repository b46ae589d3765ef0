"""The training data of the memory's selector."""
