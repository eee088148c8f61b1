"""The log file under both trackers: rebuilt in one step, continued where it can be, strangers' files left alone."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.trackers.logfile import LogFile, find_log

HOSTILE = "a b 'c' \"d\" [x]* 日本"


def _rebuild(folder: Path, *messages: bytes, keep_name: bool = False) -> Path:
    log = LogFile(folder, "events", "run", keep_name=keep_name)
    path = log.rebuild(messages)
    log.close()
    return path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_rebuild_then_append(tmp_path: Path) -> None:
    log = LogFile(tmp_path / HOSTILE, "events", "run")
    path = log.rebuild([b"one", b"two"])
    log.append(b"three")
    log.close()
    assert path.read_bytes() == b"onetwothree"
    assert _names(path.parent) == ["events.0000000001.run.log"]


@pytest.mark.parametrize("kept", [b"onetwo", b"onetw", b""], ids=["whole", "torn", "empty"])
def test_a_log_that_is_a_prefix_is_continued_under_its_name(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "events.0000000007.run.log").write_bytes(kept)
    log = LogFile(tmp_path, "events", "run")
    path = log.rebuild([b"one", b"two"])
    log.append(b"three")
    log.close()
    assert path.name == "events.0000000007.run.log"
    assert path.read_bytes() == b"onetwothree"
    assert _names(tmp_path) == [path.name]


def test_another_log_is_replaced_by_the_next_generation(tmp_path: Path) -> None:
    for number in (3, 7):  # two of them: a kill came between the rename and the removal
        (tmp_path / f"events.{number:010d}.run.log").write_bytes(b"onesuperseded")
    path = _rebuild(tmp_path, b"one", b"two")
    assert path.read_bytes() == b"onetwo"
    assert _names(tmp_path) == ["events.0000000008.run.log"]
    assert find_log(tmp_path, "events") == path


def test_an_old_log_can_keep_its_name(tmp_path: Path) -> None:
    for messages in ([b"one"], [b"two"], [b"three"]):
        path = _rebuild(tmp_path, *messages, keep_name=True)
    assert path.read_bytes() == b"three"
    assert [file.stat().st_size for file in sorted(tmp_path.iterdir())] == [0, 0, 5]


def test_strangers_files_stay(tmp_path: Path) -> None:
    strangers = ["events.0000000001.other.log", "events.1700000000.log", "notes.txt", "events.0000000001.run.log.bak"]
    for name in strangers:
        (tmp_path / name).write_bytes(b"not ours")
    for messages in ([b"one"], [b"two"]):
        _rebuild(tmp_path, *messages)
    assert _names(tmp_path) == sorted([*strangers, "events.0000000002.run.log"])
    assert all((tmp_path / name).read_bytes() == b"not ours" for name in strangers)


def test_a_rebuild_that_fails_leaves_the_old_log(tmp_path: Path) -> None:
    _rebuild(tmp_path, b"old")

    def broken():  # type: ignore[no-untyped-def]
        yield b"new"
        raise OSError(errno.ENOSPC, "no space left on device")

    with pytest.raises(OSError, match="no space"):
        LogFile(tmp_path, "events", "run").rebuild(broken())
    assert _names(tmp_path) == ["events.0000000001.run.log"]
    assert (tmp_path / "events.0000000001.run.log").read_bytes() == b"old"


def test_a_full_disk_leaves_whole_messages(tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: the write is cut short in the same way."""
    code = f"""
import resource, signal
from pathlib import Path
from runner.trackers.logfile import LogFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = LogFile(Path({str(tmp_path)!r}), "events", "run")
log.rebuild([b"x" * 1000])
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
try:
    log.append(b"y" * 1000)
except OSError as error:
    print("refused", error.errno)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("refused"), done.stderr
    assert (tmp_path / "events.0000000001.run.log").read_bytes() == b"x" * 1000


def test_kill_at_any_moment_of_rebuilds_leaves_one_state_or_the_other(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from runner.trackers.logfile import LogFile
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        log = LogFile(Path({str(tmp_path)!r}), "events", "run")
        log.rebuild([letter * 50_000] * 4)
        log.close()
"""
    for round_number in range(8):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.013 * round_number + 0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        newest = find_log(tmp_path, "events")
        if newest is not None:
            assert newest.read_bytes() in (b"a" * 200_000, b"b" * 200_000)
    path = _rebuild(tmp_path, b"end")
    assert _names(tmp_path) == [path.name]
