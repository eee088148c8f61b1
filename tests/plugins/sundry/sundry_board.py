"""The server of `sundry_tracker`: ``python -m sundry_board HOST PORT``. It keeps runs in memory and shows them as JSON."""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

RUNS: dict[str, dict[str, Any]] = {}
OURS = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")


class Handler(BaseHTTPRequestHandler):
    """GET /runs, and GET, PUT, POST of /runs/RUN. Pages elsewhere are refused by the name that they ask for."""

    def do_GET(self) -> None:
        """Show the runs' names, or one run."""
        run = self.run_name()
        self.answer([*RUNS] if not run else RUNS.get(run), 200 if not run or run in RUNS else 404)

    def do_PUT(self) -> None:
        """Take a run in the place of what was there."""
        RUNS[self.run_name()] = self.body()
        self.answer({})

    def do_POST(self) -> None:
        """Take an event of a run."""
        RUNS[self.run_name()]["events"].append(self.body())
        self.answer({})

    def run_name(self) -> str:
        """Return the run of the request; empty: all."""
        return unquote(self.path.removeprefix("/runs").removeprefix("/"))

    def body(self) -> Any:
        """Return the JSON that was sent."""
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, data: Any, status: int = 200) -> None:
        """Send JSON."""
        allowed = OURS.fullmatch(self.headers.get("Host", "")) and not self.headers.get("Origin")
        body = json.dumps(data if allowed else None).encode()
        self.send_response(status if allowed else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    try:
        server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
    except OSError as error:
        sys.exit(f"port {sys.argv[2]} is in use: {error}")
    print(server.server_address[1], flush=True)
    server.serve_forever()
