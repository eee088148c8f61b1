"""Loader of annotations and predictions into hotcoco's objects.

The quick way lets hotcoco read the file (34 MB of predictions: 0.2 s; Python's json alone takes 1.4 s) and then makes
sure, from totals, that it took nothing for granted: hotcoco 1.3.0 lets predictions pass in silence that lack a score or
a bbox, have negative sizes or are no list at all, and only prints a line on unknown ids. Whatever the quick way cannot
vouch for goes through `validate`, which names everything wrong or, where hotcoco was merely stricter than the format
(`"year": "2020"`), hands over what counts.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hotcoco

from runner.core.errors import InputError, Problem
from runner.core.files import read_bytes, similar_name
from runner.data.annotations import MAX_AREA
from runner.evaluation.validate import check_predictions, check_truth

_ANY_AREA = [float("-inf"), float("inf")]
_NEGATIVE_SIZE = re.compile(rb'"bbox"\s*:\s*\[[^\],]*,[^\],]*,(?:\s*-|[^\],]*,\s*-)')


def load_truth(path: Path) -> hotcoco.COCO:
    """Load COCO annotations (xywh boxes in pixels). Raises InputError if they cannot be read or evaluated against."""
    _require_file(path, "annotations")
    try:
        with _no_chatter():
            truth = hotcoco.COCO(str(path))
        if _is_sound(truth):
            return truth
    except ValueError:
        pass  # not COCO for hotcoco; the check below decides
    return hotcoco.COCO(check_truth(_parse(read_bytes(path), path), str(path)))


def load_predictions(source: Path | Sequence[Mapping[str, Any]], truth: hotcoco.COCO) -> hotcoco.COCO:
    """Load COCO results from predictions.json or from memory. Raises InputError if unreadable or unfit for `truth`."""
    if not isinstance(source, Path):
        return _from_entries(source, truth, "predictions")
    _require_file(source, "predictions")
    raw = read_bytes(source)
    try:
        with _no_chatter():
            found = truth.load_res(str(source))
        if _is_understood(raw, found):
            return found
    except ValueError:
        pass  # cut off, NaN, a string for a number, …: named below
    return _from_entries(_parse(raw, source), truth, str(source))


def _from_entries(entries: Any, truth: hotcoco.COCO, where: str) -> hotcoco.COCO:
    rows = check_predictions(entries, truth.get_img_ids(), truth.get_cat_ids(), where)
    return truth.load_res(rows)


def _is_sound(truth: hotcoco.COCO) -> bool:
    """Return whether the annotations can be evaluated against as they were read."""
    if truth.load_warnings or not (truth.get_img_ids() and truth.get_cat_ids() and truth.get_ann_ids()):
        return False
    report = truth.healthcheck()
    # an image without width and height is no error here: only boxes count
    codes = {finding["code"] for finding in report["errors"]} - {"zero_dimensions"}
    codes |= {finding["code"] for finding in report["warnings"]} & {"degenerate_bbox"}
    # hotcoco leaves an annotation without an area, or with one that COCO does not know, out of all area ranges
    return not codes and len(truth.get_ann_ids(area_rng=[0.0, MAX_AREA])) == len(truth.get_ann_ids())


def _is_understood(raw: bytes, found: hotcoco.COCO) -> bool:
    """Return whether hotcoco certainly read each prediction in `raw` as intended."""
    count = len(found.get_ann_ids())
    return (
        count > 0
        and raw[:1000].lstrip()[:1] == b"["
        and not found.load_warnings  # unknown images or categories
        and len(found.get_ann_ids(area_rng=_ANY_AREA)) == count  # a bbox each
        and raw.count(b'"score"') == count
        and b"null" not in raw
        and not _may_have_negative_size(raw)
    )


def _may_have_negative_size(raw: bytes) -> bool:
    pieces = raw.split(b"-")  # cheap: few minus signs, or the first of many decides
    if all(piece.endswith((b"e", b"E")) for piece in pieces[:-1]):  # exponents alone
        return False
    return _NEGATIVE_SIZE.search(raw) is not None


def _require_file(path: Path, what: str) -> None:
    if not path.is_file():
        state = "is a folder" if path.is_dir() else f"does not exist{similar_name(path)}"
        raise InputError(Problem(f"the {what} file {state}", where=str(path)))
    if not os.access(path, os.R_OK):
        raise InputError(Problem(f"the {what} file may not be read (permissions)", where=str(path)))


def _parse(raw: bytes, path: Path) -> Any:
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        whole = "is empty" if not raw.strip() else f"is cut off or not JSON ({error.msg}, column {error.colno}, {len(raw)} bytes in all)"
        raise InputError(Problem(f"the file {whole}; write it again", where=f"{path}:{error.lineno}")) from error
    except (ValueError, RecursionError) as error:  # also an integer of thousands of digits
        raise InputError(Problem(f"the file is not JSON in UTF-8 ({error}); write it again", where=str(path))) from error


@contextmanager
def _no_chatter() -> Iterator[None]:
    """Keep hotcoco's warnings off the terminal: they are also in `load_warnings`, which is checked.

    It writes to descriptor 2 itself, so `sys.stderr` cannot be swapped. hotcoco holds the interpreter's lock while it
    loads, so that no other Python thread can have a message swallowed.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no descriptor 2 (a daemon): nothing to keep quiet
        yield
        return
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
