"""Starts the mesh, asks it by text, voice and REST, with face and memory, and writes the answers.

`python -m tests.closed_network.conversation FOLDER`; ANIMA_DATA_DIR has the installed models.
"""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import httpx

from tests.mesh_process import running_mesh
from tests.synthesis import RATE_HZ, spoken


def main(folder: Path) -> None:
    """Holds the conversation."""
    question = folder / "question.wav"
    with wave.open(str(question), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(spoken("What can you do?").tobytes())
    logs = folder / "mesh"
    logs.mkdir()
    with running_mesh(logs) as mesh:
        for name, asked in {
            "typed.mp4": ["My name is Ada. Who are you?"],
            "spoken.mp4": ["--audio", str(question)],
        }.items():
            command = [sys.executable, "-m", "cli", "ask", *asked, "--user", "ada"]
            command += ["--gateway", mesh.gateway_address, "--out", str(folder / name)]
            subprocess.run(command, env=os.environ, check=True)
        with httpx.Client(base_url=mesh.page, timeout=60, trust_env=False) as client:
            client.get("/").raise_for_status()
            body = {"text": "What is my name?", "user_id": "ada"}
            answer = client.post("/v1/ask", json=body, headers={"Accept": "video/mp4"})
            (folder / "rest.mp4").write_bytes(answer.raise_for_status().content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
