"""polars, where it is installed: the extra ``files``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream_seg.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["polars"]


def polars() -> ModuleType:
    """Import polars, or raise ``UsageError`` saying how to install it."""
    try:
        import polars as pl  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("Parquet files need polars: pip install 'stream-seg[files]'") from error
    return pl
