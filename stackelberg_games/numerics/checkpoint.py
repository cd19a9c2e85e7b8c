"""Storing nested state safely: a digest, and no code on loading.

A file is one header line with the SHA-256 of the rest, then a NumPy archive of plain arrays; the
nesting is kept as JSON inside it. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stackelberg_games import files
from stackelberg_games.errors import CheckpointError

FORMAT = 2
"""Of runs on disk; raised whenever an older version could not go on from what this one stores."""
_NAME = b"stackelberg-games checkpoint "
_MAGIC = _NAME + b"%d " % FORMAT
_TREE = "tree"


def save(path: Path, state: Any) -> None:
    """Store nested dicts, lists, tuples, numbers, strings, arrays and tensors."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    try:
        tree = json.dumps(_pack(state, arrays))
    except (RecursionError, ValueError) as error:  # nested too deeply, or in itself; an integer of many digits
        raise CheckpointError(f"cannot store this state: {error}") from error
    buffer = io.BytesIO()
    np.savez(buffer, **{_TREE: np.frombuffer(tree.encode(), dtype=np.uint8)}, **arrays)  # type: ignore[arg-type]
    payload = buffer.getvalue()
    digest = hashlib.sha256(payload).hexdigest().encode()
    files.write_atomically(path, _MAGIC + digest + b"\n" + payload)


def load(path: Path) -> Any:
    """Read what ``save`` stored.

    Raises:
        CheckpointError: the file is missing, not a checkpoint, truncated, or altered.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    header, _, payload = data.partition(b"\n")
    if not header.startswith(_MAGIC):
        if header.startswith(_NAME):
            raise CheckpointError(refusal(path, header[len(_NAME) :].partition(b" ")[0].decode(errors="replace")))
        raise CheckpointError(f"{path} is not a checkpoint of stackelberg-games")
    if hashlib.sha256(payload).hexdigest().encode() != header[len(_MAGIC) :]:
        raise CheckpointError(f"{path} is truncated or was altered: its digest does not match")
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
            tree = json.loads(archive[_TREE].tobytes())
            return _unpack(tree, archive)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def refusal(path: Path, found: object) -> str:
    """What is said of a run in another format."""
    return (
        f"{path} has format {found}, this version writes and reads {FORMAT}; read it with the version of "
        "stackelberg-games that wrote it, or choose another directory"
    )


def _pack(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {"dict": [[_pack(k, arrays), _pack(v, arrays)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_pack(v, arrays) for v in value]}
    if isinstance(value, np.ndarray | torch.Tensor):
        key = f"a{len(arrays)}"
        tensor = isinstance(value, torch.Tensor)
        arrays[key] = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        if arrays[key].dtype.hasobject:
            raise CheckpointError(f"cannot store an array of {arrays[key].dtype}")
        return {"tensor" if tensor else "array": key}
    raise CheckpointError(f"cannot store a {type(value).__name__}")


def _unpack(tree: Any, archive: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    (kind, body), *_ = tree.items()
    if kind == "dict":
        return {_unpack(k, archive): _unpack(v, archive) for k, v in body}
    if kind in ("list", "tuple"):
        items = [_unpack(v, archive) for v in body]
        return items if kind == "list" else tuple(items)
    array = archive[body]
    return torch.tensor(array) if kind == "tensor" else array
