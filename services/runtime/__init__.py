"""Code shared by all servers of Anima, from settings to model files."""

from services.runtime.observing import telemetry

# Some libraries report on import. This is the place because every process of Anima imports this
# package before any engine, including engines in third-party packages.
telemetry.disable()
