"""Joining of modules: order, scopes, and every form that it does not know."""

from __future__ import annotations

import pytest

from runner.views.page import STATIC
from runner.views.page.join import JoinError, join_modules


def joined(**modules: str) -> str:
    """The script of some modules, of which `main` is the entry; a name with `__` has a slash there."""
    texts = {f"{name.replace('__', '/')}.js": text for name, text in modules.items()}

    def read(path: str) -> str:
        if path not in texts:
            raise FileNotFoundError(path)
        return texts[path]

    return join_modules(read, "main.js")


def test_a_module_comes_once_and_behind_what_it_imports() -> None:
    script = joined(
        main='import { a } from "./a.js";\nimport { b } from "./b.js";\na(b);\n',
        a='import { b } from "./b.js";\nexport function a(value) {\n  return value + b;\n}\n',
        b="const hidden = 1;\nexport const b = hidden;\n",
    )
    assert script.startswith('(() => {\n"use strict";\n')
    places = [script.index(f"// {name}.js\n") for name in ("b", "a", "main")]
    assert places == sorted(places)
    assert script.count("const hidden = 1;") == 1
    assert "import" not in script and "export" not in script


def test_folders_aliases_lists_and_statements_over_several_lines() -> None:
    script = joined(
        main='import {\n  one as first,\n  Two,\n}  from "./tabs/x.js"; // why\nfirst(Two);\n',
        tabs__x='import { y } from "../y.js";\nasync function one() {}\nexport { one };\nexport class Two {}\n'
        "export async function three() {}\n",
        y="export function* y() {}\nexport const z = 1, w = 2;\n",
    )
    assert "const { one: first, Two } = module1;" in script
    assert "return { one, Two, three };" in script
    assert "const { y } = module0;" in script


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('import a from "./a.js";', 1, "not a form"),
        ('import * as a from "./a.js";', 1, "not a form"),
        ('\nimport "./a.js";', 2, "not a form"),
        ('import { a } from "./a.js"; a();', 1, "not a form"),
        ("\n\nexport default function f() {}", 3, "not a form"),
        ('export * from "./a.js";', 1, "not a form"),
        ('export { a } from "./a.js";', 1, "not a form"),
        ("export let a = 1;", 1, "not a form"),
        ("export const { a } = b;", 1, "not a form"),
        ("if (x) {\n  export const a = 1;\n}", 2, "not a form"),
        ('import { a } from "a";', 1, "'a' is not a module of the page"),
        ('import { a } from "https://elsewhere.example/a.js";', 1, "is not a module of the page"),
        ('import { a } from "../a.js";', 1, "is not a module of the page"),
        ('import { a } from "./nowhere.js";', 1, "there is no module nowhere.js"),
        ('import { b } from "./a.js";', 1, "a.js does not export b"),
        ('import { default as a } from "./a.js";', 1, "is not a name"),
        ('import { "a" as a } from "./a.js";', 1, "is not a name"),
        ('f(() => import("./a.js"));', 1, "import() is not known"),
        ("f(import.meta.url);", 1, "import.meta is not known"),
        ("\nconst a = await f();", 2, "await outside of a function"),
        ("await f();", 1, "await outside of a function"),
        ("for await (const a of b) f(a);", 1, "await outside of a function"),
        ('f("</script>");', 1, "in two pieces"),
        ('f("<!--");', 1, "in two pieces"),
    ],
)
def test_any_other_form_is_an_error_that_names_the_place(text: str, line: int, message: str) -> None:
    with pytest.raises(JoinError) as raised:
        joined(main=f"{text}\n", a="export const a = 1;\n")
    assert str(raised.value).startswith(f"main.js:{line}: ") and message in str(raised.value)


def test_a_list_of_what_is_not_there_is_an_error() -> None:
    with pytest.raises(JoinError, match=r"^main.js:1: there is no a here to export"):
        joined(main="export { a };\n")


def test_a_cycle_is_an_error_that_names_its_modules() -> None:
    with pytest.raises(JoinError, match=r"a cycle of imports: a.js → b.js → a.js"):
        joined(
            main='import { a } from "./a.js";',
            a='import { b } from "./b.js";\nexport const a = 1;',
            b='import { a } from "./a.js";\nexport const b = 1;',
        )


def test_comments_that_fill_lines_are_left_out() -> None:
    script = joined(main='// one\n  // two\nf("// a"); // three\n/** four */\n/*\n * five */\nconst x = 1;\n/* six */ g();\n')
    assert 'f("// a"); // three\nconst x = 1;\n/* six */ g();' in script
    assert not any(word in script for word in ("one", "two", "four", "five"))


@pytest.mark.parametrize("entry", ["frozen.js", "live.js"])
def test_the_modules_of_the_page_can_be_joined(entry: str) -> None:
    script = join_modules(lambda name: (STATIC / name).read_text(encoding="utf-8"), entry)
    assert script.count("\n// main.js\n") == 1 and len(script) > 100_000
