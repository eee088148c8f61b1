"""Fetching of published weights into the store, with an entry in weights.lock: the only place that downloads weights."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from runner.core.errors import InputError, Problem, RunnerError
from runner.core.files import NO_ROOM
from runner.core.values import GIB
from runner.weights import hub
from runner.weights.carried import Wanted, commit_of, find_cached, find_carried
from runner.weights.download import Expected, FetchFailed, Progress, connect, read_small, save
from runner.weights.formats import SUFFIXES, defect_of, file_name, suffix_of
from runner.weights.lockfile import LockEntry, change_lock, find_entry, lock_path, read_lock
from runner.weights.names import WeightsName, parse_name
from runner.weights.published import known_digest, licence_of, torchvision_url
from runner.weights.store import digest_of, find_stored, put, store_held

Say = Callable[[str], None]
Origin = Literal["store", "network", "files"]
_FULL_DIGEST = 64
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Offer:
    """Offer of published weights: the file that a name stands for.

    Args:
        url: where the file comes from.
        file_name: of the file there.
        expected: what is known of its content.
        known_from: who states it, for people.
        licence: as its publisher names it; ``unknown`` where nothing says so.
        commit: of the hub's repository; empty elsewhere.
    """

    url: str
    file_name: str
    expected: Expected
    known_from: str
    licence: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Result of `fetch`.

    Args:
        entry: in weights.lock.
        path: of the stored file.
        origin: where its content came from.
    """

    entry: LockEntry
    path: Path
    origin: Origin


def fetch(text: str, say: Say, progress: Progress, offline_from: Path | None = None) -> Fetched:
    """Bring published weights into the store and into weights.lock; do nothing if both have them.

    Args:
        text: a name or a URL, perhaps pinned.
        say: takes a line for the user; source, size and licence are printed before anything is downloaded.
        progress: see `runner.weights.download.Progress`.
        offline_from: a folder with the file; the network is not used.

    Raises:
        InputError: there are no such weights, they cannot be had, or they are not what weights.lock or their publisher says.
        RunnerError: the disk is full.
    """
    name, lock = parse_name(text), lock_path()
    if not name.is_published:
        raise InputError(Problem(f"{text} is not published weights: {_EXPECTED}"))
    with store_held(say) as unfinished:  # another process may be adding this very entry
        entry = find_entry(read_lock(lock), name)
        if entry is not None and name.sha256 not in ("", entry.sha256):
            text = f"has another file for {name.text}, of SHA-256 {entry.sha256[:16]}…; to replace it: runner weights remove {name.text}"
            raise InputError(Problem(text, where=str(lock)))
        offer = _locked_offer(entry) if entry is not None else _offer(name, say, online=offline_from is None)
        found, path, origin = _get(name, offer, unfinished, say, progress, offline_from)
        if entry is None:
            entry = found
            change_lock(lock, lambda entries: [*(one for one in entries if one.name != name.text), found])
        return Fetched(entry, path, origin)


_EXPECTED = (
    "expected a name (ResNet50_Weights.IMAGENET1K_V1, PekingU/rtdetr_r18vd), an address (https://…, ppdet://…), or a config (FILE.yml)"
)


def _locked_offer(entry: LockEntry) -> Offer:
    expected = Expected(entry.sha256, entry.size_bytes or None)
    return Offer(entry.url, file_name(entry.url), expected, "weights.lock", entry.licence, entry.commit)


def _offer(name: WeightsName, say: Say, *, online: bool) -> Offer:
    """Find out what a name that is not in weights.lock stands for. Raises InputError."""
    if name.kind == "hub":
        offer = _hub_offer(name, say, online=online)
    else:
        url = name.url or torchvision_url(name.text)
        offer = Offer(url, file_name(url), Expected(known_digest(url)), "its publisher", licence_of(url))
    if suffix_of(offer.file_name) not in SUFFIXES:
        hint = "an archive of PaddleDetection 0.x, which is not read" if offer.file_name.endswith(".tar") else "no file of weights"
        raise InputError(Problem(f"is {hint}; expected {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}", where=offer.url))
    if name.sha256:
        if not name.sha256.startswith(offer.expected.sha256):
            text = (
                f"is pinned to the SHA-256 {name.sha256[:16]}…, and {offer.known_from} has {offer.expected.sha256[:16]}…; correct the pin"
            )
            raise InputError(Problem(text, where=name.text))
        offer = replace(offer, expected=replace(offer.expected, sha256=name.sha256), known_from="the pin")
    return offer


def _hub_offer(name: WeightsName, say: Say, *, online: bool) -> Offer:
    if not online:
        revision = name.text.partition("@")[2] or "main"
        return Offer(hub.file_url(name.text, revision), hub.WEIGHTS_FILE, Expected(), "the hub", "unknown")
    found = hub.read_metadata(name.text, read_small(hub.metadata_url(name.text), say))
    return Offer(found.url, hub.WEIGHTS_FILE, Expected(found.sha256, found.size_bytes), "the hub", found.licence, found.commit)


def _get(
    name: WeightsName, offer: Offer, unfinished: Path, say: Say, progress: Progress, offline_from: Path | None
) -> tuple[LockEntry, Path, Origin]:
    """Bring the content of an offer into the store; return its entry, the stored file, and where the content came from."""
    known = offer.expected.sha256
    path = find_stored(known) if len(known) == _FULL_DIGEST else None
    if path is not None and digest_of(path) == known:  # another project's
        return _entry(name, offer, known, path), path, "store"
    wanted = Wanted(name, offer.file_name, offer.expected)
    source = find_cached(wanted) if offline_from is None else find_carried(offline_from, wanted)
    part = unfinished / "part"
    suffix = suffix_of(offer.file_name)
    if source is not None:
        offer = _describe_carried(name, offer, source, say)
        sha256 = _copied(source, part, offer.expected)
    else:
        with connect(offer.url, say) as connection:
            size = connection.size_bytes if offer.expected.size_bytes is None else offer.expected.size_bytes
            _describe(name, offer, offer.url, size, say)
            sha256 = save(connection, part, offer.expected, progress)
    if defect := defect_of(part, suffix):
        raise FetchFailed(Problem(f"{defect}; it was not kept", where=str(source or offer.url)))
    stored = put(part, sha256, suffix)
    return _entry(name, offer, sha256, stored), stored, "network" if source is None else "files"


def _describe(name: WeightsName, offer: Offer, source: str, size: int | None, say: Say) -> None:
    """Print what is about to be taken, before it is."""
    say(name.text)
    say(f"  from     {source}")
    say(f"  size     {'not stated by the server' if size is None else f'{size / _MIB:,.1f} MiB ({size:,} bytes)'}")
    parts = offer.licence.lower().replace(",", " ").replace("-", " ").split()
    say(f"  licence  {offer.licence}{'; not for commercial use' if 'nc' in parts else ''}")
    digest = offer.expected.sha256
    how = "must begin with" if len(digest) < _FULL_DIGEST else "must be"
    say(f"  sha256   {f'{how} {digest} ({offer.known_from})' if digest else 'not known beforehand: the one of this file is recorded'}")


def _describe_carried(name: WeightsName, offer: Offer, source: Path, say: Say) -> Offer:
    """Print the same for a file on this machine; return the offer with its commit."""
    _describe(name, offer, str(source), source.stat().st_size, say)
    commit = offer.commit or (commit_of(source) if name.kind == "hub" else "")
    return replace(offer, commit=commit, url=hub.file_url(name.text, commit) if commit and not offer.commit else offer.url)


def _copied(source: Path, part: Path, expected: Expected) -> str:
    """Copy a file and return the SHA-256 of the copy, which is the expected one."""
    try:
        shutil.copyfile(source, part)
        sha256 = digest_of(part)
    except OSError as error:
        if error.errno in NO_ROOM:
            free = shutil.disk_usage(part.parent).free
            raise RunnerError(
                f"{part.parent}: the disk is full ({free / GIB:.2f} GiB free); set RUNNER_WEIGHTS to another folder"
            ) from error
        raise InputError(Problem(f"cannot be read: {error.strerror}", where=str(source))) from error
    if not sha256.startswith(expected.sha256):
        raise InputError(Problem("changed while it was copied; try again", where=str(source)))
    return sha256


def _entry(name: WeightsName, offer: Offer, sha256: str, stored: Path) -> LockEntry:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return LockEntry(name.text, offer.url, sha256, stored.stat().st_size, offer.licence, today, offer.commit)
