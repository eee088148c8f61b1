"""The page as one file: what is in it, what is not, and that a browser shows it from a disk as the server's page shows it."""

from __future__ import annotations

import base64
import getpass
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.browser import NARROW, WIDE, Pages
from support.detectors import make_detector, make_truth
from support.finished import START, make_run
from support.run_dirs import png_bytes

from runner.cli.main import main
from runner.core.errors import InputError
from runner.store.media import MediaWriter
from runner.sweep.session_results import read_report
from runner.views.page import STATIC
from runner.views.page import freeze as freezing
from runner.views.page.data import PageData, SnapshotData
from runner.views.page.freeze import escape_json, freeze, shuffle_words
from runner.views.page.part import PARTS, PartAnswer, Query, ask, find_part

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOST = "gpu-box-17"
HOSTILE = (
    "</script><script>window.pwn=1</script><img src=x onerror=window.pwn=1><!--<script>]]>\u2028\u2029\u202e\u200b"
    "javascript:window.pwn=1 ${window.pwn=1} `x` \"'=HYPERLINK(1) ../../etc/passwd 😀 __proto__"
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trials of two seeds, one failed, in a folder with an odd name; their machine and some paths are in reasons, logs and values."""
    sweep = tmp_path_factory.mktemp("runs") / "our 汉字 #1 50% 'sweep'"
    for trial, size in enumerate((8, 16)):
        label = f"batch_size={size}" if trial else "baseline"
        overrides = {"TrainReader.batch_size": size, "pretrain_weights": str(sweep / "weights.pt")} if trial else {}
        for seed in range(3):
            failed: dict[str, Any] = {"state": "failed", "reason": f"no space on {HOST}:{sweep}/x"} if (trial, seed) == (1, 2) else {}
            facts = {"host": HOST, "packages": {"torch": "2.1"}}
            run = make_run(
                sweep, trial, seed, ap=0.4 + 0.1 * trial + seed / 100, label=label, batch_size=size, overrides=overrides,
                facts=facts, metrics={"bbox/AR": 0.5}, evaluations=((100, 0.2), (200, 0.3)), **failed,
            )  # fmt: skip
            run.log.write_text(f"read {sweep}/data\non {HOST}\n<b>&amp;\n")
    media = MediaWriter(run.path)
    media.add("image", "samples/0", png_bytes(8, 8, 1), suffix=".png", step=100)
    media.close()
    return sweep


@pytest.fixture(scope="module")
def data(sweep: Path) -> SnapshotData:
    return SnapshotData([sweep], read_report)


@dataclass(frozen=True)
class File:
    """A frozen file taken apart: its elements by id, and its index."""

    text: str

    @property
    def elements(self) -> dict[str, str]:
        return dict(re.findall(r'<script type="[a-z/]+" id="([a-z0-9-]+)">(.*?)</script>', self.text))

    @property
    def index(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.elements["frozen"])
        return found

    def inflated(self) -> Iterator[bytes]:
        """Everything that the file holds, unpacked and put together."""
        yield self.text.encode()
        for element, coding, _ in self.index["parts"].values():
            if coding:
                yield gzip.decompress(base64.b64decode(self.elements[element]))
        for each in self.index["bytes"]:
            body = base64.b64decode(self.elements[each["element"]])
            yield body if each["coding"] == "base64" else gzip.decompress(body)


@pytest.fixture(scope="module")
def file(data: SnapshotData) -> File:
    return File(freeze(data, made=START).text)


def queries(data: SnapshotData) -> list[tuple[str, Query]]:
    return [(name, query) for name in PARTS for query in find_part(name).frozen(data, {})]


# ------------------------------------------------------------------------------------------------------------ what is in the file
def test_the_policy_allows_this_style_and_this_script_only(file: File) -> None:
    policy = re.search(r'<meta http-equiv="content-security-policy" content="([^"]+)">', file.text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'" and rules["trusted-types"] == "'none'"
    assert rules["img-src"] == "data: blob:" and "connect-src" not in rules
    for rule, pattern in (("style-src", r"<style>(.*?)</style>"), ("script-src", r"<script>(.*?)</script>")):
        (content,) = re.findall(pattern, file.text, re.DOTALL)
        assert rules[rule] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    assert file.text.index("http-equiv") < file.text.index("<style>")
    assert not re.search(r'(?:src|href)="(?!data:,)', file.text.partition("<script>")[0])


def test_the_file_has_every_answer_that_the_parts_name_and_both_languages(file: File, data: SnapshotData) -> None:
    index = file.index
    held = [(part, query) for part, (_, _, asked) in index["parts"].items() for query in asked]
    assert all(len(json.loads(file.elements[element])) == len(asked) for element, _, asked in index["parts"].values())
    held += [(each["part"], each["query"]) for each in index["bytes"]]
    assert sorted(held, key=str) == sorted(((name, dict(query)) for name, query in queries(data)), key=str)
    assert {"overview", "report", "trials", "run", "curves"} <= {part for part, _ in held}
    for language in ("en", "zh"):
        assert index["strings"][language] == json.loads((STATIC / "strings" / f"{language}.json").read_text(encoding="utf-8"))
    assert index["made"] == START


def test_no_path_no_machine_and_no_user_is_anywhere_in_the_bytes(file: File, sweep: Path) -> None:
    """The reports of runs that failed on another machine are in it, their names of places are not."""
    parents = [str(folder) for folder in sweep.parents if len(folder.parts) > 2]
    names = {socket.gethostname(), getpass.getuser()} - {"localhost", "root", "runner"}
    whole = b"\n".join(file.inflated())
    assert b"no space on" in whole and "our 汉字 #1 50% 'sweep'".encode() in whole
    for wanted in (HOST, str(Path.home()), *parents, *(name for name in names if len(name) > 3)):
        assert wanted.encode() not in whole, wanted
        assert json.dumps(wanted)[1:-1].encode() not in whole, wanted


def test_an_answer_that_cannot_be_given_is_named_and_the_others_are_there(
    sweep: Path, data: SnapshotData, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        keys: frozenset[str] = frozenset({"id"})

        def answer(self, data: PageData, query: Query) -> PartAnswer:
            if query["id"] == "2":
                raise InputError(f"{sweep} cannot be read")
            return PartAnswer(b'"fine"')

        def frozen(self, data: PageData, view: Query) -> Iterator[Query]:
            yield from ({"id": "1"}, {"id": "2"})

    monkeypatch.setattr(freezing, "PARTS", {**PARTS, "refusing": ""})
    monkeypatch.setattr(freezing, "find_part", lambda name: Refusing() if name == "refusing" else find_part(name))
    frozen = freeze(data, made=START)
    assert frozen.unanswered == (f"refusing: …/{sweep.name} cannot be read",)
    element, coding, asked = File(frozen.text).index["parts"]["refusing"]
    assert (File(frozen.text).elements[element], coding, asked) == ('["fine"]', "", [{"id": "1"}])


def test_long_texts_are_packed(data: SnapshotData, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freezing, "_LONGEST_TEXT", 10)
    packed = File(freeze(data, made=START).text)
    for part, (element, coding, _) in packed.index["parts"].items():
        assert coding == "gzip"
        text = gzip.decompress(base64.b64decode(packed.elements[element])).decode()
        assert text == file.elements[file.index["parts"][part][0]], part


def test_json_is_no_markup_wherever_it_stands() -> None:
    value = {HOSTILE: [HOSTILE]}
    text = escape_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert not re.search("[<>&\u2028\u2029]", text)


def test_words_are_taken_apart_byte_by_byte() -> None:
    words = np.arange(1000, 1010, dtype="<f4")
    shuffled = shuffle_words(b"RCV1head" + words.tobytes(), 8)
    assert shuffled[:8] == b"RCV1head"
    assert shuffled[8:] == words.view(np.uint8).reshape(-1, 4).T.tobytes()


# ----------------------------------------------------------------------------------------------------------------- in a browser
_BOTH = """
async ([elements, queries, absent]) => {
  for (const [id, text] of Object.entries(elements)) {
    const place = document.createElement("div");
    place.id = id;
    place.textContent = text;
    document.head.append(place);
  }
  const { HttpSource } = await import("/source-http.js");
  const { FileSource } = await import("/source-file.js");
  const sources = [new HttpSource(), new FileSource()];
  const names = ["holds", "json", "binary", "strings", "image", "subscribe"];
  const methods = (source) => names.filter((name) => typeof source[name] === "function");
  const bytes = (buffer) => [buffer instanceof ArrayBuffer, ...new Uint8Array(buffer)].join();
  const reason = (promise) => promise.then(() => null, (error) => [error instanceof Error, error.message]);
  const answers = [];
  for (const [part, query, kind] of queries) {
    const both = [];
    const ask = kind === "json"
      ? async (source) => JSON.stringify(await source.json(part, query))
      : async (source) => bytes(await source.binary(part, query));
    for (const source of sources) both.push(await ask(source));
    answers.push([part, query, both]);
  }
  const refused = [];
  for (const [part, query] of absent) {
    for (const ask of ["json", "binary"]) refused.push(await reason(sources[1][ask](part, query)));
  }
  const strings = await Promise.all(sources.map(async (source) => JSON.stringify(await source.strings("zh"))));
  refused.push(await reason(sources[1].json("nothing")));
  const image = await sources[1].image("r0-nothing");
  const frozen = sources.map((source) => source.frozen);
  return { answers, refused, strings, image, frozen, methods: sources.map(methods), end: typeof sources[1].subscribe(() => {}) };
}
"""


def test_both_sources_keep_the_same_contract(pages: Pages, data: SnapshotData, file: File) -> None:
    page = pages.open(pages.serve(data=data))
    page.locator("h1").wait_for()
    asked = [
        (name, dict(query), "json" if ask(data, name, query).media == "application/json" else "binary") for name, query in queries(data)
    ]
    absent: list[tuple[str, Mapping[str, str]]] = [
        ("run", {"id": "r99"}),
        ("curves", {"tag": "none"}),
        ("points", {"tag": "train/loss"}),
        ("report", {"metric": "x"}),
    ]
    found = page.evaluate(_BOTH, [file.elements, asked, absent])
    assert len(found["answers"]) == len(asked) > 10
    for part, query, (live, frozen) in found["answers"]:
        assert live.replace(HOST, "…") == frozen, (part, query)  # which another machine's runs recorded
    absent_text = json.loads((STATIC / "strings/en.json").read_text(encoding="utf-8"))["frozen.absent"]
    chinese = json.loads((STATIC / "strings/zh.json").read_text(encoding="utf-8"))["frozen.absent"]
    assert found["refused"] == [[True, absent_text]] * 2 * len(absent) + [[True, chinese]]
    assert found["strings"][0] == found["strings"][1]
    assert found["image"] is None
    assert found["methods"][0] == found["methods"][1] and len(found["methods"][0]) == 6
    assert found["frozen"] == [False, True] and found["end"] == "function"


class Opened:
    """A file opened from the disk, offline: `requests` that it made."""

    def __init__(self, pages: Pages, path: Path, fragment: str = "", **options: Any) -> None:
        self.requests: list[str] = []
        self.page: Page = pages.open("about:blank", offline=True, **options)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.address = path.resolve().as_uri()
        self.page.goto(self.address + fragment)
        self.page.get_by_role("tabpanel").locator(":scope > *").first.wait_for()

    def check(self) -> None:
        """Nothing was asked for but the file itself, and pictures in it."""
        assert [url for url in self.requests if not url.startswith(("data:", "blob:"))] == [self.address.partition("#")[0]] * self.loads

    loads = 1


def written(text: str, folder: Path) -> Path:
    """The text in a file with an odd name."""
    path = folder / "a report #2 100% 汉字's.html"
    path.write_text(text, encoding="utf-8")
    return path


FRAGMENTS = ("#answer", "#answer?base=t1&metric=bbox/AP50", "#trials", "#curves?table=bbox/AP,train/loss", "#run?id=r3")


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_the_file_shows_what_the_servers_page_shows(pages: Pages, data: SnapshotData, file: File, tmp_path: Path, fragment: str) -> None:
    from playwright.sync_api import expect

    live = pages.open(pages.serve(data=data) + fragment)
    opened = Opened(pages, written(file.text, tmp_path), fragment)
    both = []
    for page in (live, opened.page):
        panel = page.get_by_role("tabpanel")
        if "curves" in fragment:
            expect(panel.locator("table.curve-values")).to_have_count(2)
        if "run?" in fragment:
            page.locator(".run-log h2").wait_for()
            expect(panel.locator(".run-config tbody tr").first).to_be_visible()
            both.append(panel.locator(".run-head, .run-attempts, .run-config table, .run-environment").all_inner_texts())
        else:
            expect(panel).to_contain_text("batch_size=16")
            both.append(panel.locator("table").all_inner_texts())
    assert both[0] == both[1] and both[0]
    opened.check()


def test_every_tab_of_the_file_is_opened_without_a_request(pages: Pages, file: File, tmp_path: Path) -> None:
    opened = Opened(pages, written(file.text, tmp_path))
    tabs = opened.page.get_by_role("tab")
    for place in range(tabs.count()):
        tabs.nth(place).click()
        opened.page.get_by_role("tabpanel").locator(":scope > *").first.wait_for()
        assert opened.page.locator(".failure").count() == 0
    opened.page.go_back()
    opened.check()


def test_the_file_opens_after_the_runs_are_gone_and_in_chinese(pages: Pages, data: SnapshotData, sweep: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    copy = tmp_path / "gone"
    shutil.copytree(sweep, copy)
    text = freeze(SnapshotData([copy], read_report), made=START, view="#curves?lang=zh&tag=train/loss").text
    shutil.rmtree(copy)
    opened = Opened(pages, written(text, tmp_path))
    expect(opened.page.locator("h1")).to_have_text("gone")
    expect(opened.page.get_by_role("tab", selected=True)).to_have_text("曲线")
    expect(opened.page.locator(".curve-card").first).to_have_attribute("data-tag", "train/loss")
    opened.check()


def test_what_a_file_cannot_do_is_said(pages: Pages, file: File, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    path = written(file.text, tmp_path)
    run = Opened(pages, path, "#run?id=r5&whole=1").page
    expect(run.locator(".run-samples")).to_contain_text("1 image that this run made is not in this file")
    expect(run.locator(".run-config")).to_contain_text("not in this file")
    expect(run.locator("pre.log")).to_contain_text("read …/our 汉字 #1 50% 'sweep'/data")
    expect(run.locator(".run-commands .copyable").first).to_contain_text("…/'our 汉字 #1")
    expect(run.locator(".run-commands button")).to_have_count(0)  # it would copy what works nowhere
    expect(run.locator(".run-commands")).to_contain_text("…: a folder whose path is not shown here")
    expect(Opened(pages, path, "#run?id=r0").page.locator(".run-log")).to_contain_text("logs of failed runs only")
    curves = Opened(pages, path, "#curves?x=time&g=TrainReader.batch_size").page
    expect(curves.locator(".curves > p")).to_contain_text("For another x axis or groups by a key")
    expect(curves.get_by_label("x axis")).to_be_hidden()
    expect(curves.locator(".curve-card").first).to_contain_text("0 baseline")
    answer = Opened(pages, path, "#answer?metric=bbox/AR").page
    expect(answer.get_by_role("tabpanel")).to_contain_text("runner compare")
    expect(answer.locator(".live")).to_contain_text("a file of")
    answer.get_by_role("button", name="Share").click()
    dialog = answer.get_by_role("dialog")
    expect(dialog).to_contain_text("Left out: absolute paths")
    expect(dialog.locator("code").last).to_have_text(f"{path.name}#answer?metric=bbox/AR")


def test_the_gallery_has_its_images_in_the_file_unless_they_are_left_out(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    boards = make_truth(tmp_path / "boards", {f"{name}.png": [(0, (10.0, 10.0, 20.0, 20.0))] for name in "abc"})
    for trial, found in enumerate(({}, {"a.png": [(0, (10.0, 10.0, 20.0, 20.0), 0.9)]})):
        for seed in range(2):
            make_detector(tmp_path / "sweep", boards, found, trial, seed, label=f"lr={trial}")
    data = SnapshotData([tmp_path / "sweep"], read_report)
    frozen, without = freeze(data, made=START), freeze(data, made=START, images=False)
    assert (frozen.images, without.images) == (1, 0) and frozen.unanswered == without.unanswered == ()
    assert [each["part"] for each in File(without.text).index["bytes"] if each["media"].startswith("image/")] == []
    opened = Opened(pages, written(frozen.text, tmp_path), "#detection")
    image = opened.page.locator("img").first
    expect(image).to_have_attribute("src", re.compile("^data:image/"))
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    opened.page.get_by_role("button", name="Share").click()
    expect(opened.page.get_by_role("dialog")).to_contain_text("In it: 1 image of the evaluated data set.")
    opened.check()
    bare = Opened(pages, written(without.text, tmp_path), "#detection").page
    expect(bare.get_by_role("tabpanel")).to_contain_text("a.png")
    assert bare.locator("img[src]").count() == 0


def test_stops_of_the_smoothing_below_a_bucket_are_left_out(pages: Pages, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    sweep = tmp_path / "long"
    make_run(sweep, 0, 0, steps=20_000)
    page = Opened(pages, written(freeze(SnapshotData([sweep], read_report), made=START).text, tmp_path), "#curves").page
    expect(page.locator(".curves > p")).to_contain_text("Smoothing by 0.5, 0.8")
    slider = page.get_by_label("smoothing")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "0.9")
    page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "none")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_hostile_texts_stay_texts_in_the_file(pages: Pages, tmp_path: Path, size: dict[str, int]) -> None:
    sweep = tmp_path / "<img src=x onerror=window.pwn=1>"
    for trial, text in enumerate((HOSTILE, "N" * 5000)):
        run = make_run(
            sweep, trial, 0, label=text, state="failed" if trial else "done", reason=text, name=f"{trial}-<script>window.pwn=1<",
            metrics={HOSTILE: 0.5, "__proto__": 0.5, "constructor": 0.5}, overrides={"TrainReader.batch_size": text} if trial else {},
            facts={"packages": {text: text}},
        )  # fmt: skip
        run.log.write_text(f"{text}\x1b[31m\x00\n")
    frozen = freeze(SnapshotData([sweep], read_report), made=START)
    assert frozen.unanswered == ()
    path = written(frozen.text, tmp_path)
    for fragment in ("#answer", "#trials", "#curves", "#search", "#run?id=r0", "#run?id=r1"):
        opened = Opened(pages, path, fragment, viewport=size)
        page = opened.page
        page.wait_for_timeout(200)
        assert page.locator("h1").text_content() == sweep.name
        assert page.evaluate("window.pwn") is None
        assert page.evaluate("document.images.length") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], fragment
        opened.check()


def test_names_that_are_no_text_have_a_sign_in_their_place(pages: Pages, tmp_path: Path, cache_folder: Path) -> None:
    """Names of files may be any bytes, and records may have half of a pair of surrogates."""
    run = make_run(tmp_path / "sweep", 0, 0)
    make_run(tmp_path / "sweep", 1, 0, label="b")
    run.metrics.write_text(run.metrics.read_text().replace("train/loss", "train/l\\ud800ss"))
    os.rename(run.path, os.fsencode(run.path.parent) + b"/bad \xff name")
    sweep = tmp_path / os.fsdecode(b"sw\xfeeep")
    os.rename(tmp_path / "sweep", sweep)
    for _ in range(2):  # the second time from the cache
        assert main(["share", str(sweep), "-o", str(tmp_path / "odd.html"), "--force"]) == 0
    for fragment in ("#answer", "#trials", "#run?id=r0", "#curves?find=train"):
        opened = Opened(pages, tmp_path / "odd.html", fragment)
        assert opened.page.locator("h1").text_content() == "sw\ufffdeep"
        opened.check()
    page = pages.show(sweep, fragment="#curves?find=train")
    page.locator(".curve-card").first.wait_for()


def test_the_file_is_accessible(pages: Pages, file: File, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = Opened(pages, written(file.text, tmp_path)).page
    page.locator(".forest").wait_for()
    page.get_by_role("button", name="Share").click()
    found = (
        Axe()
        .run(page, options={"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}})
        .response["violations"]
    )
    assert [item["id"] for item in found] == []


@pytest.mark.parametrize("name", ["CSV, as shown", "pgfplots table"])
def test_exported_values_have_the_digits_that_the_file_holds(pages: Pages, tmp_path: Path, name: str) -> None:
    """They are rounded to fewer bits in it, which gave digits that the run has not."""
    make_run(tmp_path / "s", 0, 0, ap=0.51234567, evaluations=((100, 0.32773414), (200, 0.41177777)))
    path = written(freeze(SnapshotData([tmp_path / "s"], read_report), made=START).text, tmp_path)
    card = Opened(pages, path, "#curves").page.locator('.curve-card[data-tag="bbox/AP"]')
    card.locator("summary").click()
    with card.page.expect_download() as waiting:
        card.get_by_role("button", name=name, exact=True).click()
    lines = [line.split(",") for line in Path(waiting.value.path()).read_text().splitlines() if not line.startswith("#")]
    assert [float(x) for x, _ in lines[1:]] == [100, 200, 300]
    assert [value for _, value in lines[1:]] == ["0.328", "0.412", "0.512"]


def test_curves_in_the_file_begin_with_their_header(file: File) -> None:
    for each in file.index["bytes"]:
        if each["part"] == "curves":
            body = gzip.decompress(base64.b64decode(file.elements[each["element"]]))
            start = each["coding"]["words"]
            assert body[:4] == b"RCV1" and start == 8 + struct.unpack_from("<I", body, 4)[0]
            assert json.loads(body[8:start])["tag"] == each["query"]["tag"]
