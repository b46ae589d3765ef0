"""Commands find the mesh that runs with their data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.mesh.layout import fixed_layout
from cli.mesh.record import NAME, recording, running_mesh

LAYOUT = fixed_layout(http_address="127.0.0.1:18080", first_port=20000)


def test_a_mesh_is_found_while_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert running_mesh(folder) is None
    with recording(folder, LAYOUT):
        found = running_mesh(folder)
        assert found is not None
        assert found.page == "http://localhost:18080/"
        assert found.addresses["gateway"] == "127.0.0.1:20000"
        assert found.addresses["memory"] == "127.0.0.1:20003"
        assert running_mesh(folder) == found, "a reader must not take the record away"
    assert running_mesh(folder) is None


def test_a_record_that_was_left_behind_is_not_believed(tmp_path: Path) -> None:
    with recording(tmp_path, LAYOUT):
        left = (tmp_path / NAME).read_text()
    (tmp_path / NAME).write_text(left)
    assert running_mesh(tmp_path) is None


def test_the_next_mesh_replaces_the_record_of_the_last(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("x" * 10_000)
    other = fixed_layout(http_address="127.0.0.1:18081", first_port=21000)
    with recording(tmp_path, LAYOUT):
        with recording(tmp_path, other):
            found = running_mesh(tmp_path)
            assert found is not None
            assert found.addresses["gateway"] == "127.0.0.1:20000", "the first one goes on"
        assert running_mesh(tmp_path) == found
    with recording(tmp_path, other):
        found = running_mesh(tmp_path)
        assert found is not None
        assert found.addresses["gateway"] == "127.0.0.1:21000"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"page": "x"}'])
def test_a_damaged_record_is_no_mesh(tmp_path: Path, content: str) -> None:
    with recording(tmp_path, LAYOUT):
        (tmp_path / NAME).write_text(content)
        assert running_mesh(tmp_path) is None


def test_a_folder_that_cannot_be_written_does_not_stop_the_mesh(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with recording(tmp_path / "file", LAYOUT):
        assert running_mesh(tmp_path / "file") is None
