"""Puts personas and avatars into the wheel; everything else is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("personas", "avatars")
PACKAGE = "anima_data"


class BuildWithData(build_py):
    """Copies the folders of the checkout to where `services.runtime.config.settings` seeks them."""

    def run(self) -> None:
        """Builds the packages, then adds the folders; an editable install uses the checkout's."""
        super().run()
        if not self.editable_mode:
            for folder in SHIPPED:
                target = Path(self.build_lib) / PACKAGE / folder
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(folder, target)


setup(cmdclass={"build_py": BuildWithData})
