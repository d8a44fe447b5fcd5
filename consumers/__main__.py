"""``python -m consumers`` is ``stream-seg``."""

from __future__ import annotations

from consumers.cli import main

main()
