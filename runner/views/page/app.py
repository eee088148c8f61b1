"""The page over HTTP: its files, its parts as `/api/PART?query`, and the changes of its data as events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from runner.core.errors import InputError
from runner.views.page import STATIC
from runner.views.page.data import PageData
from runner.views.page.join import join_modules
from runner.views.page.part import PARTS, ask

_MEDIA: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
"""Suffix to media type of the files that are served; others, such as licences, are not."""
SCRIPT: Final = "page.js"
"""Name in the address of the joined modules, of which `_ENTRY` is the first."""
_ENTRY: Final = "live.js"
_LOOK_S: Final = 0.2
_HEARTBEAT_S: Final = 15.0
_RETRY_MS: Final = 1_000


def make_app(data: PageData, ends: Callable[[], bool] = lambda: False) -> Starlette:
    """Return the application. It is meant to stand behind a `PageGuard`, which decides who may ask.

    Args:
        data: what the page shows.
        ends: tells whether the server is about to end, so that no stream of events keeps it waiting.
    """
    files = page_files()

    def script(request: Request) -> Response:
        return Response(joined_script(), media_type=_MEDIA[".js"], headers={"cache-control": "no-cache"})

    def file(request: Request) -> Response:
        name = request.path_params["path"] or "index.html"
        if name not in files:
            return _error(404, "there is no such file")
        return FileResponse(files[name], media_type=_MEDIA[files[name].suffix], headers={"cache-control": "no-cache"})

    async def part(request: Request) -> Response:
        name = request.path_params["part"]
        if name not in PARTS:
            return _error(404, f"there is no such part; known: {', '.join(PARTS)}")
        try:
            answer = await run_in_threadpool(ask, data, name, dict(request.query_params))
        except InputError as error:
            return _error(400, str(error))
        return Response(answer.body, media_type=answer.media)

    async def changes(request: Request) -> Response:
        media = "text/event-stream"
        return Response(media_type=media) if request.method == "HEAD" else StreamingResponse(_events(data, ends), media_type=media)

    routes = [Route("/api/changes", changes), Route("/api/{part}", part), Route(f"/{SCRIPT}", script), Route("/{path:path}", file)]
    return Starlette(routes=routes, exception_handlers={Exception: _failed})


def page_files() -> dict[str, Path]:
    """Return the files of the page by the name in their address: ``style.css``, ``tabs/answer.js``, …"""
    return {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.suffix in _MEDIA and path.is_file()}


def joined_script() -> str:
    """Return the modules of the page as one script: a first load asks for it alone, and it packs better than they do one by one."""
    return join_modules(lambda name: (STATIC / name).read_text(encoding="utf-8"), _ENTRY)


async def _events(data: PageData, ends: Callable[[], bool]) -> AsyncIterator[str]:
    """Yield the revision at once and after each change, and a comment now and then, by which a browser that has gone is noticed."""
    yield f"retry: {_RETRY_MS}\n\n"
    told, silent = None, 0.0
    while not ends():
        if (revision := data.revision) != told or silent >= _HEARTBEAT_S:
            yield f"data: {revision}\n\n" if revision != told else ": still here\n\n"
            told, silent = revision, 0.0
        await asyncio.sleep(_LOOK_S)
        silent += _LOOK_S


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer after an unexpected exception, which the server also prints with its traceback."""
    return _error(500, f"the server failed ({type(error).__name__}); its terminal says where")
