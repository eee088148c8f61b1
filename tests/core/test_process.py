"""What tells a process from others with its number."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runner.core.process import process_mark

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says it")


def test_a_mark_is_a_process_own_and_ends_with_it() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        mark = process_mark(other.pid)
        assert mark and mark == process_mark(other.pid) != process_mark(os.getpid())
    finally:
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert process_mark(other.pid) == ""  # not reaped yet
    other.communicate()
    assert process_mark(other.pid) == ""
