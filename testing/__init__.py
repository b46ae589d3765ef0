"""What tests, benchmarks and the command line share: scripted stages, virtual time, replays."""

import services.runtime as _runtime  # noqa: F401 (first: it keeps libraries from reporting)
