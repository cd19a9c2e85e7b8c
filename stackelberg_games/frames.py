"""Tidy tables as pandas frames. pandas is an extra and imported on first use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stackelberg_games.errors import MissingExtraError


def frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """A ``pandas.DataFrame`` with a row for each mapping; what a row lacks is missing there.

    Args:
        rows: values by column.
        columns: of the frame, in order; an empty frame has them too.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError("pandas", "frames") from error
    return pd.DataFrame.from_records([dict(row) for row in rows], columns=list(columns))
