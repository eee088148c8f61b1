"""Requests to a driver: signals and control.jsonl."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from runner.store.commands import Command, Unreadable
from runner.store.control import Inbox, send
from runner.sweep.requests import Interrupt, Requests, SignalCounter, counted_signals


def test_signals_are_counted_and_handlers_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with counted_signals() as signals:
        requests = Requests(signals, None)
        assert list(requests.read()) == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert list(requests.read()) == [Interrupt(is_first=True)] and list(requests.read()) == []
        os.kill(os.getpid(), signal.SIGINT)
        assert list(requests.read()) == [Interrupt(is_first=False)]
        os.kill(os.getpid(), signal.SIGHUP)
        assert list(requests.read()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_two_signals_at_once_end_it_at_once() -> None:
    assert list(Requests(SignalCounter(2), None).read()) == [Interrupt(is_first=False)]


def test_no_handlers_outside_the_main_thread() -> None:
    before, inside = signal.getsignal(signal.SIGINT), []

    def look() -> None:
        with counted_signals():
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert inside == [before]


def test_commands_that_arrive_while_the_driver_runs(tmp_path: Path) -> None:
    control = tmp_path / "control.jsonl"
    send(control, Command("quit"))  # to an earlier driver
    requests = Requests(SignalCounter(), Inbox(control))
    send(control, Command("pause"))
    send(control, Command("pause", save=True))
    with open(control, "ab") as file:
        file.write(b"\xff" * 200 + b"\n\n")
    send(control, Command("stop", "3"))
    found = list(requests.read())
    assert found == [Command("pause"), Command("pause", save=True), Unreadable("�" * 80), Command("stop", "3")]
    assert list(requests.read()) == [] and str(found[1]) == "pause --save"
