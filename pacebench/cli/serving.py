"""Shows a website's folder in a browser of this machine, to nobody else."""

from __future__ import annotations

import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing about each request."""

    def list_directory(self, path: Any) -> None:  # noqa: ARG002 (http.server's signature)
        """Show no folder without a page of its own, as most static hosts do."""
        self.send_error(404)


def server_of(folder: Path) -> ThreadingHTTPServer:
    """Give a server of a folder on a free port that only this machine reaches."""
    return ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))


def serve(folder: Path) -> None:
    """Serve a folder and open it in the browser, until Ctrl-C."""
    with server_of(folder) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        print(f"{address}  (Ctrl-C ends)", flush=True)
        webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
