"""Stored state: exact round trips, no code, no half-written files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stackelberg_games.errors import CheckpointError
from stackelberg_games.numerics import checkpoint


def test_nested_state_comes_back_exactly(tmp_path: Path) -> None:
    state = {
        "numbers": [1, 2.5, 1e-300, 0.1 + 0.2, True, None, "text", 2**127],
        "array": np.arange(6.0).reshape(2, 3),
        "flags": np.array([True, False]),
        "scalar": np.float64(0.1),
        "nested": {0: {"tensor": torch.tensor([1.5, 2.5], dtype=torch.float64)}, "t": (1, (2, 3))},
        "empty": np.zeros((0, 3)),
    }
    checkpoint.save(tmp_path / "state", state)
    back = checkpoint.load(tmp_path / "state")
    assert back["numbers"] == state["numbers"]
    np.testing.assert_array_equal(back["array"], state["array"])
    assert back["flags"].dtype == np.bool_
    assert back["scalar"] == 0.1
    assert torch.equal(back["nested"][0]["tensor"], state["nested"][0]["tensor"])  # type: ignore[index]
    assert back["nested"]["t"] == (1, (2, 3))
    assert back["empty"].shape == (0, 3)


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), b"bytes"])
def test_what_would_need_code_is_not_stored(tmp_path: Path, value: object) -> None:
    with pytest.raises(CheckpointError, match="cannot store"):
        checkpoint.save(tmp_path / "state", {"value": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 1, 50, 100, -1])
def test_every_truncation_is_noticed(tmp_path: Path, keep: int) -> None:
    file = tmp_path / "state"
    checkpoint.save(file, {"a": np.arange(100)})
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError):
        checkpoint.load(file)


def test_every_altered_byte_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "state"
    checkpoint.save(file, {"a": np.arange(4)})
    data = file.read_bytes()
    for position in range(0, len(data), 37):
        file.write_bytes(data[:position] + bytes([data[position] ^ 0x40]) + data[position + 1 :])
        with pytest.raises(CheckpointError):
            checkpoint.load(file)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state"
    checkpoint.save(file, {"a": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint.save(file, {"a": 2})
    assert checkpoint.load(file) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
