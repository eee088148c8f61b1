"""The documents say what is so: commands parse, keys and commands are all there, links lead somewhere, the reference is fresh."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from runner.backends.torch.schema import TorchConfig
from runner.cli.main import build_parser
from runner.config.load import parse
from runner.config.node import Source
from runner.config.reference import reference, table
from runner.data.choice import dataset_choice
from runner.data.spec import load_spec
from runner.evaluation.result import STAT_TAGS
from runner.resolve import resolve
from runner.search.load import load_sweep
from runner.search.spec import Budget, Choice, Component, Factor, Metric, Racing, Resources, Span, SweepSpec
from runner.store.run_dir import RunDir
from runner.sweep.session_plan import SweepRequest, plan_sweep

ROOT = Path(__file__).parents[2]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("datasets/*.md"), *ROOT.glob("configs/*.md"), *ROOT.glob("benchmarks/*.md")]
)
REFERENCE = "python -m runner.config.reference runner.backends.torch.schema:TorchConfig docs/config-reference.md"


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of what stands in code blocks without a language, indented or fenced; comments are taken off."""
    fenced = False
    previous = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = line == "```" if not fenced else False
            continue
        if fenced or (line.startswith("    ") and not previous.lstrip().startswith(("- ", "* "))):
            text = re.split(r"\s+# ", line)[0].strip()
            if text:
                yield number, text
        elif line.strip():
            previous = line


def yaml_blocks(path: Path) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(path: Path, program: str) -> list[tuple[int, list[str]]]:
    """(line number, arguments) of every call of `program` in the document's code blocks."""
    found = []
    for number, line in code_lines(path):
        for part in re.sub(r" \[(--?[^\]]*)\]", r" \1", line).split(" && "):  # what may be left out is checked too
            if re.match(rf"(\.venv/bin/)?{program} ", part) and "…" not in part:
                found.append((number, shlex.split(part)[1:]))
    return found


def subcommands(parser: argparse.ArgumentParser, prefix: str = "runner") -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield f"{prefix} {name}"
                yield from subcommands(below, f"{prefix} {name}")


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_runner_commands_parse_and_name_files_that_exist(path: Path) -> None:
    for number, arguments in commands(path, "runner"):
        try:
            build_parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{relative(path)}:{number}: runner {shlex.join(arguments)} does not parse")
        for word in arguments:
            if re.fullmatch(r"(configs|sweeps|datasets)/[\w/.-]+\.yml", word):
                assert (ROOT / word).is_file(), f"{relative(path)}:{number}: there is no {word}"
            if (match := re.fullmatch(r"dataset=(\w+)", word)) is not None:
                dataset_choice(match[1])


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_commands_within_a_sentence_exist_and_have_their_options(path: Path) -> None:
    """A command in a code span may be shortened: `runner sweep --dry-run` stands without its file."""
    text = re.sub(r"^```.*?^```|^    .*?$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for span in re.findall(r"`runner ([^`]+)`", text):
        parser, words = build_parser(), re.split(r"\s+", span)
        while (below := next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)) and words:
            if words[0].startswith("-") or words[0] == "…" or words[0].isupper():
                break  # any command
            named = words.pop(0)
            assert named in below.choices, f"{relative(path)}: `runner {span}`: there is no {named}"
            parser = below.choices[named]
        known = {option for action in parser._actions for option in action.option_strings}
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known, f"{relative(path)}: `runner {span}`: no option {', '.join(given - known)}"


def test_the_keys_that_documents_set_are_keys_of_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path))
    given: set[tuple[str, tuple[str, ...]]] = set()
    for path in DOCUMENTS:
        for _, words in commands(path, "runner"):
            found = build_parser().parse_args(words)
            config = getattr(found, "config", None)
            if words[0] in ("train", "config") and isinstance(config, Path | str) and (ROOT / config).is_file():
                given.add((str(config), tuple(found.opt or ())))
    for span in re.findall(r"`-o ([^`…]+)`", (ROOT / "docs" / "README.md").read_text(encoding="utf-8")):
        given.add(("configs/fcos_tiny.yml", tuple(shlex.split(span))))
    assert len(given) >= 15
    for config, pairs in sorted(given):
        resolve(ROOT / config, [pair for pair in pairs if not pair.startswith(("weights=", "backend_python="))], to_run=False)


def test_there_are_commands_to_check() -> None:
    assert sum(len(commands(path, "runner")) for path in READMES) >= 20
    assert len(commands(ROOT / "docs" / "guide.md", "runner")) >= 15


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_make_targets_and_modules_exist(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for number, arguments in commands(path, "make"):
        assert set(arguments) <= targets, f"{relative(path)}:{number}: make {' '.join(arguments)}"
    for number, arguments in commands(path, "python"):
        if arguments[:1] == ["-m"] and arguments[1].split(".")[0] in ("runner", "benchmarks"):
            assert importlib.util.find_spec(arguments[1]) is not None, f"{relative(path)}:{number}: python -m {arguments[1]}"


def test_the_readmes_show_every_command_and_the_same_ones() -> None:
    english, chinese = (path.read_text(encoding="utf-8") for path in READMES)
    for command in subcommands(build_parser()):
        program, name, *action = command.split(" ")
        for text in (english, chinese):
            row = next((line for line in text.splitlines() if line.startswith(f"| `{program} {name}` |")), None)
            assert row is not None, f"{command} is not in the table of commands"
            assert not action or f"`{action[0]}`" in row, f"{command} is not in the table of commands"


def readme_sections(path: Path) -> list[list[str]]:
    """The lines of each section, its heading first."""
    sections: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"#+ ", line):
            sections.append([])
        sections[-1].append(line)
    return sections


README_PARTS: dict[str, Callable[[list[str]], object]] = {
    "heading level": lambda lines: lines[0].split(" ")[0],
    "paragraphs, lists, tables": lambda lines: len(re.findall(r"\n\n(?=\S)", "\n".join(lines))),
    "list items": lambda lines: sum(line.startswith("- ") for line in lines),
    "code": lambda lines: [re.split(r"\s{2,}|(?<=/) ", line.strip())[0] for line in lines if line.startswith("    ")],
    "links": lambda lines: [
        target.replace(".zh-CN", "").split("#")[0]
        for target in re.findall(r"\]\(([^)]+)\)", "\n".join(lines))
        if not target.startswith("README")
    ],
    "first columns": lambda lines: [re.findall(r"`[^`]+`", line.split("|")[1]) for line in lines if line.startswith("| `")],
    "words in code": lambda lines: Counter(re.findall(r"`[^`]+`", "\n".join(lines))),
}
"""Properties that both READMEs share in every section, computed from its lines."""


@pytest.mark.parametrize("part", README_PARTS)
def test_the_readmes_are_alike_section_by_section(part: str) -> None:
    english, chinese = ([README_PARTS[part](lines) for lines in readme_sections(path)] for path in READMES)
    assert len(english) >= 8
    assert english == chinese


@pytest.mark.parametrize("chinese", sorted(ROOT.glob("docs/*.zh-CN.md")), ids=relative)
def test_a_chinese_page_has_the_sections_commands_tables_and_blocks_of_the_english_one(chinese: Path) -> None:
    english = chinese.with_name(chinese.name.replace(".zh-CN", ""))
    for page, other in ((english, chinese), (chinese, english)):
        assert f"]({other.name})" in page.read_text(encoding="utf-8").split("\n## ")[0], f"{relative(page)} has no link to {other.name}"
    for section, other in zip(readme_sections(english), readme_sections(chinese), strict=True):
        for part in ("heading level", "list items", "code", "first columns"):
            assert README_PARTS[part](section) == README_PARTS[part](other), f"{relative(chinese)}: {part} of {other[0]}"
        blocks = [re.findall(r"```.*?```", "\n".join(lines), flags=re.DOTALL) for lines in (section, other)]
        assert blocks[0] == blocks[1], f"{relative(chinese)}: the blocks of {other[0]}"
        assert sum(line.startswith("|") for line in section) == sum(line.startswith("|") for line in other), (
            f"{relative(chinese)}: {other[0]}"
        )


def test_there_are_chinese_pages() -> None:
    assert len(list(ROOT.glob("docs/*.zh-CN.md"))) >= 3


@pytest.mark.parametrize("page", [READMES[1], *sorted(ROOT.glob("docs/*.zh-CN.md"))], ids=relative)
def test_chinese_pages_have_one_term_for_a_sweep_and_one_for_a_trial(page: Path) -> None:
    """Both used to be words for an experiment that differ in one character."""
    text = page.read_text(encoding="utf-8").replace("原文章的实验", "")
    assert not re.findall("实验|试验(?!组)", text)


def test_the_glossary_has_the_chinese_term_of_each_entry() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines() if line[:4] == "| **"]
    assert len(rows) >= 60
    assert all(len(row) == 4 and row[1].strip() for row in rows)
    terms = [row[1] for row in rows]
    assert len(terms) == len(set(terms)), "one Chinese term per concept"


def test_the_readme_lists_every_folder_and_module_at_the_top() -> None:
    text = READMES[0].read_text(encoding="utf-8")
    packages = [path.parent for path in ROOT.glob("runner/*/__init__.py")]
    modules = [path for path in ROOT.glob("runner/*.py") if not path.name.startswith("__")]
    assert len(packages) >= 17 and len(modules) >= 1
    for entry in [*(f"{path.name}/" for path in packages), *(path.name for path in modules)]:
        assert re.search(rf"^ {{6}}{re.escape(entry)} ", text, re.M), f"{entry} is not in the README's tree"


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{relative(path)}: {target} does not exist"
        if anchor:
            assert anchor in _anchors(goal), f"{relative(path)}: {target} has no such heading"


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path not in READMES], ids=relative)
def test_a_page_that_mentions_the_article_links_to_its_name(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for words, anchor in (("the article", "#the-articles-experiment"), ("原文章", "#原文章的实验")):
        assert words not in text.lower() or anchor in text, f"{relative(path)}: {words!r} without a link to README{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_code_spans_have_no_html_entities(path: Path) -> None:
    """Markdown shows them there as they are written."""
    assert not re.findall(r"`[^`\n]*&(?:lt|gt|amp);[^`\n]*`", path.read_text(encoding="utf-8"))


def test_no_install_line_names_a_published_package() -> None:
    """It is installed from a checkout: `pip install '.[optuna]'`."""
    texts = [*DOCUMENTS, *(ROOT / "runner").rglob("*.py")]
    assert len(texts) > 300
    found = [
        relative(path)
        for path in texts
        if re.search(r"detection-runner\[|pip install [^\n]*detection-runner", path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_every_decision_that_is_named_is_linked_to_its_page() -> None:
    pages = {path.name[:3]: path for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md")}
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert sorted(pages) == [f"{number:03d}" for number in range(1, len(pages) + 1)]
    assert all(f"[{number}]({path.name})" in index for number, path in pages.items())
    assert all(path.read_text(encoding="utf-8").startswith(f"# {number} ") for number, path in pages.items())
    sources = [path for folder in ("runner", "tests", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py")]
    seen = 0
    for path in [*DOCUMENTS, *sources]:
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        seen += len(re.findall(r"decisions/\d{3}-|\[decision \d{3}\]", text))
        assert not re.search(r"(?<!\[)\bdecision \d+\b", text, re.I), f"{relative(path)} names a decision without its page"
        for number, target in re.findall(r"\[decision (\d{3})\]\(([^)]+)\)", text, re.I):
            assert Path(target).name == pages[number].name, f"{relative(path)}: decision {number} links to {target}"
        for name in re.findall(r"decisions/(\d{3}-[\w-]+\.md)", text):
            assert name == pages[name[:3]].name, f"{relative(path)}: there is no docs/decisions/{name}"
    assert seen >= 8


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = {name.removeprefix("runner/") for name in re.findall(r"`([\w/]+(?:\.py|/))`", text)}
    assert len(named) >= 40
    beside = [path for path in ROOT.glob("runner/**/*") if path.is_dir()]
    missing = [
        name
        for name in named
        if not (ROOT / "runner" / name).exists() and ("/" in name or not any((folder / name).is_file() for folder in beside))
    ]
    assert not missing


QUESTION = re.compile(r"(What|Where|How|Whether|Who|Whose|Whom|Why)\b")
"""First word of a docstring that is a clause instead of a noun or an imperative."""


def test_no_docstring_begins_with_a_question_word() -> None:
    found = []
    for path in [path for folder in ("runner", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").lstrip("`")
                if QUESTION.match(first):
                    found.append(f"{relative(path)}: {first.splitlines()[0]}")
    assert not found, "\n".join(found)


def test_the_config_reference_is_fresh() -> None:
    expected = reference(TorchConfig, REFERENCE)
    assert expected.count("\n| `") > 150
    assert (ROOT / "docs" / "config-reference.md").read_text(encoding="utf-8") == expected, f"it is stale; run: {REFERENCE}"


@pytest.mark.parametrize("cls", [SweepSpec, Budget, Choice, Component, Factor, Metric, Racing, Resources, Span])
def test_every_sweep_key_is_told_as_it_is_declared(cls: type) -> None:
    text = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
    for row in table(cls).splitlines():
        command = f"python -m runner.config.reference {cls.__module__}:{cls.__name__}"
        assert row in text, f"docs/sweep.md is stale; it should have what this prints: {command}"


def test_every_file_of_a_run_and_every_metric_is_told() -> None:
    text = (ROOT / "docs" / "run-directory.md").read_text(encoding="utf-8")
    paths = [getattr(RunDir("run"), name) for name, value in vars(RunDir).items() if isinstance(value, property)]
    names = [path.name for path in paths if isinstance(path, Path)]
    assert len(names) >= 10
    for name in [*names, *STAT_TAGS, "bbox/best_f1", "bbox/best_f1_threshold", "bbox/AP@0.33"]:
        assert f"`{name}`" in text or f"`{name}/`" in text, f"docs/run-directory.md does not tell of {name}"


def test_the_yaml_in_the_documents_is_yaml() -> None:
    blocks = [(path, block) for path in DOCUMENTS for block in yaml_blocks(path)]
    assert len(blocks) >= 4
    for path, block in blocks:
        parse(block, partial(Source, relative(path)))


def test_the_sweep_shown_is_the_sweep_that_ships(tmp_path: Path) -> None:
    for folder in ("configs", "sweeps"):
        (tmp_path / folder).mkdir()
    (tmp_path / "configs" / "fcos_tiny.yml").touch()
    shown = tmp_path / "sweeps" / "shown.yml"
    shown.write_text(yaml_blocks(ROOT / "docs" / "sweep.md")[0], encoding="utf-8")
    assert load_sweep(shown) == load_sweep(ROOT / "sweeps" / "batchsize.yml")


COOKBOOK = yaml_blocks(ROOT / "docs" / "sweep-cookbook.md")


@pytest.mark.parametrize("recipe", COOKBOOK, ids=range(len(COOKBOOK)))
def test_every_recipe_of_the_cookbook_is_a_sweep_without_warnings(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "recipe.yml"
    file.write_text(recipe, encoding="utf-8")
    planned = plan_sweep(SweepRequest(file), to_run=False)
    assert len(planned.entries()) >= 6
    assert not planned.warnings


def test_the_cookbook_has_its_recipes() -> None:
    assert len(COOKBOOK) >= 8


def test_the_data_spec_shown_is_one(tmp_path: Path) -> None:
    (block,) = yaml_blocks(ROOT / "docs" / "your-own-photos.md")
    file = tmp_path / "screws.yml"
    file.write_text(block, encoding="utf-8")
    assert load_spec(file).split.group == "^(.*)_"


@pytest.mark.parametrize("path", sorted(path for path in ROOT.glob("configs/**/*.yml") if path.parent.name != "_base_"), ids=relative)
def test_every_config_resolves(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_DATA", str(tmp_path))
    if path.name == "fake.yml":
        assert resolve(path).config.metrics  # it has no data
        return
    resolved = resolve(path, ["use_gpu=false", "dataset=synthetic_pcb"], to_run=False)  # there may be no Paddle here
    assert resolved.config.num_classes == 6
    assert all("backend" in str(problem) for problem in resolved.missing if problem.key != "pretrain_weights")


def test_no_file_names_a_place_to_download_packages_from() -> None:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name and not name.startswith(".venv/")]
    host = re.compile(
        "|".join(("py" + r"pi\.org", "python" + "hosted", r"-(?:-index-url|-extra-index-url|-find-links)\b", r"https?://\S+/simple\b"))
    )
    texts = [path for path in files if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg", ""} and path.is_file()]
    assert len(texts) > 100
    for path in texts:
        if path != Path(__file__) and (found := host.search(path.read_text(encoding="utf-8", errors="replace"))) is not None:
            pytest.fail(f"{relative(path)} names {found[0]}")
    pins = (ROOT / "constraints" / "dev.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==\S+", line) for line in pins if line and not line.startswith("#"))
