"""The Python in the documentation runs, and prints what is shown."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import shutil

import matplotlib as mpl
import pytest

from documents import PAGES, blocks
from microctsr_core.sample import sample_volume_path
from test_docs_commands import assert_like


def snippets(page, runs):
    return [b for b in blocks(page) if b.language == "python" and b.runs == runs]


def pages(runs):
    return [page for page in PAGES if snippets(page, runs)]


@pytest.mark.parametrize("page", pages(True), ids=lambda page: page.name)
def test_snippets_run_in_their_order_and_print_what_is_shown(page, tmp_path, monkeypatch):
    shutil.copy(sample_volume_path(), tmp_path / "ct.nrrd")
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")  # no window, whatever other tests have opened
    names: dict = {"__name__": "__main__"}
    for block in snippets(page, True):
        printed = io.StringIO()
        where = f"{page.name}:{block.line}"
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, where, "exec"), names)
        if block.output is not None:
            assert_like(printed.getvalue(), block.output.splitlines(), where)


@pytest.mark.parametrize("page", pages(False), ids=lambda page: page.name)
def test_names_in_snippets_that_do_not_run_are_in_the_library(page):
    for block in snippets(page, False):
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("microctsr_core"):
                module = importlib.import_module(node.module)
                for name in node.names:
                    if not hasattr(module, name.name):  # a module, then
                        importlib.import_module(f"{node.module}.{name.name}")
