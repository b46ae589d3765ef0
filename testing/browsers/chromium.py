"""Where Chromium is."""

from __future__ import annotations

import shutil


def chromium_path() -> str | None:
    """Returns the browser's executable: the system's Chromium, or Chrome."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        path = shutil.which(name)
        if path:
            return path
    return None
