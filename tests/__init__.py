"""The tests."""

import os

# pytest-xdist tells its workers the width of the terminal, and the consoles of the command line
# would keep it from the moment they are imported.
os.environ.pop("COLUMNS", None)
