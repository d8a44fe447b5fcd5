"""Liveness and readiness over HTTP, for an orchestrator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stream_seg.errors import UsageError

Check = Callable[[], bool]


@contextmanager
def health_server(port: int | None, live: Check, ready: Check) -> Iterator[int | None]:
    """Answer ``GET /live`` and ``GET /ready`` with 200 or 503 on all interfaces while the context lasts.

    ``port`` 0 takes a free one, ``None`` serves nothing; gives the port. ``UsageError`` where it is taken.
    """
    if port is None:
        yield None
        return
    checks = {"/live": live, "/ready": ready}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            check = checks.get(self.path)
            if check is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            fine = check()
            self.send_response(HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"yes\n" if fine else b"no\n")

        def log_message(self, *_: object) -> None:
            """Probes are not worth a line each."""

    try:
        server = ThreadingHTTPServer(("", port), Handler)  # all interfaces: an orchestrator asks from outside
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be used for --health ({error.strerror}): give another one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
