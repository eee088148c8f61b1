"""Runs a viewer that answers only requests addressed to this machine: ``python -P loopback.py MODULE ARGUMENT…``, a script of its own.

Neither TensorBoard nor VisualDL checks the `Host` of a request. So a web page whose host name first leads to its own server and then to
127.0.0.1 (DNS rebinding) could read everything in a viewer through the browser. Such a request names the page's host, and one of a page
elsewhere that asks for 127.0.0.1 itself names it as its `Origin`: both are refused here, in the server that both viewers use. A secret path
would not do: VisualDL reveals its own in the answer to "/".
"""

from __future__ import annotations

import re
import runpy
import sys

from werkzeug.serving import WSGIRequestHandler

_HOST = r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?"
_ORIGIN = re.compile(rf"https?://{_HOST}", re.IGNORECASE)
_OURS = re.compile(_HOST, re.IGNORECASE)
_answer = WSGIRequestHandler.run_wsgi


def is_for_this_machine(hosts: list[str], origins: list[str]) -> bool:
    """Return whether a request with these headers `Host` and `Origin` is addressed to this machine, by a page of this machine or none."""
    return len(hosts) == 1 and all(map(_OURS.fullmatch, hosts)) and all(map(_ORIGIN.fullmatch, origins))


def _answer_if_meant(self: WSGIRequestHandler) -> None:
    if is_for_this_machine(self.headers.get_all("Host", []), self.headers.get_all("Origin", [])):
        _answer(self)
    else:  # any port is right: `ssh -L` brings requests with another one
        self.send_error(403, "Only for this machine", "Open the viewer as http://127.0.0.1 or http://localhost, with its port")


if __name__ == "__main__":
    WSGIRequestHandler.run_wsgi = _answer_if_meant  # type: ignore[method-assign]
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
