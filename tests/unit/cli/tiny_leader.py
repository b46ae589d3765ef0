"""The tiny service with a helper process, as engines have them: it outlives its leader."""

from __future__ import annotations

import subprocess
import sys

from services.runtime.observing.logs import get_logger
from services.runtime.server import Stage, run
from tests.unit.runtime.tiny_service import TinySettings, tiny_stage


def build(settings: TinySettings) -> Stage:
    """Starts the helper and logs its process id."""
    del settings
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    helper = subprocess.Popen([sys.executable, "-c", deaf])
    get_logger().info("helper", process_id=helper.pid)
    return tiny_stage()


if __name__ == "__main__":
    sys.exit(run(build, TinySettings))
