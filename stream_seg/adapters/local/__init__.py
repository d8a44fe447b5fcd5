"""A real Kafka and a real Redis on this machine, from wheels and cached jars.

For the demo, for tests and for trying things out: no root, Docker, Java or Maven is needed. The wheels are
the extra ``servers``. See :func:`local_servers`.
"""

from __future__ import annotations

from stream_seg.adapters.local.cache import cache_folder
from stream_seg.adapters.local.process import LocalServer
from stream_seg.adapters.local.servers import LocalServers, local_servers

__all__ = ["LocalServer", "LocalServers", "cache_folder", "local_servers"]
