"""Launcher of ranks: `python -P -m runner.backends.paddle.launch COUNT cpu|gpu COMMAND …` runs a command line as that many ranks.

`paddle.distributed.launch` does it, and ends all of them when one has failed. Here it is given their address, keeps its
notes (which include every environment variable) out of the run directory, and ends with its parent, as do the ranks.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from runner.core.process import PARENT_VARIABLE, die_with_parent


def arguments(count: int, port: int, folder: Path, command: Sequence[str]) -> list[str]:
    """Build the arguments of `paddle.distributed.launch`.

    Args:
        port: free on this machine; the first rank listens there.
        folder: for its notes.
    """
    here = ["--ips", "127.0.0.1", "--start_port", str(port)]
    return ["--nproc_per_node", str(count), *here, "--log_level", "WARNING", "--log_dir", str(folder), *command]


def prepare(environment: MutableMapping[str, str], where: str) -> None:
    """Change `environment` to that of the launcher and the ranks. Rank i gets the i-th GPU of CUDA_VISIBLE_DEVICES."""
    for name in [name for name in environment if name.startswith("PADDLE_") or name == "POD_IP"]:
        del environment[name]  # it would take precedence over the arguments
    if where == "cpu":
        environment["PADDLE_DISTRI_BACKEND"] = "gloo"
        environment["CUDA_VISIBLE_DEVICES"] = "all"  # the launcher then asks CUDA, for which this value means none
    environment[PARENT_VARIABLE] = str(os.getpid())


def free_port() -> socket.socket:
    """Reserve a port: the returned socket keeps it from others, while the first rank, which shares ports, can listen on it."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return reserved


def forget_notes() -> None:
    """Delete the launcher's notes on the environment, which a kill would leave behind; a rank calls it once all have started."""
    folder = os.environ.get("PADDLE_LOG_DIR")  # not with every Paddle
    for note in Path(folder).iterdir() if folder else ():
        if not note.name.startswith("workerlog."):
            note.unlink(missing_ok=True)


def main(count: str, where: str, *command: str) -> None:
    """Run the ranks; exits with 0 if all of them did."""
    die_with_parent()
    prepare(os.environ, where)
    import zlib  # noqa: F401, PLC0415 - before paddle, see `runner.backends.paddle.ppdet`

    from paddle.distributed.launch.main import launch  # noqa: PLC0415 - takes seconds to load

    with tempfile.TemporaryDirectory(prefix="runner-paddle-") as folder, free_port() as reserved:
        sys.argv[1:] = arguments(int(count), reserved.getsockname()[1], Path(folder), command)
        launch()


if __name__ == "__main__":
    main(*sys.argv[1:])
