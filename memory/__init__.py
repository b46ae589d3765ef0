"""The memory service: stores what people said, finds it again, returns it and erases it."""

import services.runtime as _runtime  # noqa: F401 (first: it keeps libraries from reporting)
