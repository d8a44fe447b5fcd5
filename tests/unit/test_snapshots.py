"""Snapshots in a folder: what is written is read back bit for bit, and what was damaged since is found."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from stream_seg.adapters.snapshots import FolderSnapshots, Snapshot, SnapshotFolder
from stream_seg.engine.checkpoint import encode_rows
from stream_seg.engine.registry import Registry, adoption_record
from stream_seg.engine.rowcolumns import columns_of, state_of
from stream_seg.engine.state import Position, State
from stream_seg.errors import DamagedState, StateError
from tests.histories import FEATURES, History, histories, run

pytest.importorskip("polars", reason="the extra files is not installed")
