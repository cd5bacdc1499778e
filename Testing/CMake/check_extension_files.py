"""Slicer installs the files that a module's CMakeLists names, and no others: are they all there?

Prints a line for each file that is not listed, is listed twice or does not exist, and ends with 1
if there is any. What a module needs is read off its folder: everything in it. `--write` lists it
anew.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LIST = r"set\(MODULE_PYTHON_{kind}\n(.*?)\)"


def modules(repository: Path) -> list[Path]:
    """The folders of the Slicer modules, which alone have a CMakeLists."""
    return sorted(file.parent for file in repository.glob("*/CMakeLists.txt"))


def needed(module: Path) -> dict[str, list[str]]:
    """The module's files, as paths below its folder: Python under SCRIPTS, others RESOURCES."""
    paths = [file.relative_to(module) for file in module.rglob("*") if file.is_file()]
    paths = [
        path
        for path in sorted(paths, key=lambda path: (path.parent.parts, path.name))
        if path != Path("CMakeLists.txt")
        and not any(part == "__pycache__" or part.startswith(".") for part in path.parts)
    ]
    return {
        "SCRIPTS": [path.as_posix() for path in paths if path.suffix == ".py"],
        "RESOURCES": [path.as_posix() for path in paths if path.suffix != ".py"],
    }


def complaints(repository: Path) -> list[str]:
    """What is wrong with the lists, a line each."""
    found = []
    owners: dict[str, str] = {}
    top = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    for module in modules(repository):
        name = module.name
        text = (module / "CMakeLists.txt").read_text(encoding="utf-8")
        if f"add_subdirectory({name})" not in top:
            found.append(f"CMakeLists.txt does not add the module {name}")
        for kind, files in needed(module).items():
            block = re.search(LIST.format(kind=kind), text, re.DOTALL)
            listed = block[1].split() if block else []
            where = f"{name}/CMakeLists.txt, MODULE_PYTHON_{kind}"
            found += [f"{where}: {file} is missing" for file in files if file not in listed]
            found += [
                f"{where}: {file} is listed, but there is no such {kind.lower()[:-1]}"
                for file in dict.fromkeys(listed)
                if file not in files
            ]
            found += [
                f"{where}: {file} is listed twice"
                for file in dict.fromkeys(listed)
                if listed.count(file) > 1
            ]
            for file in files:
                if owners.setdefault(file, name) != name:
                    found.append(
                        f"{file} is in {owners[file]} and in {name}, which install into one folder"
                    )
    return found


def write(repository: Path) -> None:
    """List what the modules need, a paragraph for each folder."""
    for module in modules(repository):
        lists = module / "CMakeLists.txt"
        text = lists.read_text(encoding="utf-8")
        for kind, files in needed(module).items():
            folders = groupby(files, key=lambda file: file.rpartition("/")[0])
            paragraphs = ["".join(f"  {file}\n" for file in group) for _, group in folders]
            block = f"set(MODULE_PYTHON_{kind}\n" + "\n".join(paragraphs) + ")"
            text = re.sub(LIST.format(kind=kind), lambda _, block=block: block, text, flags=re.S)
        lists.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        write(REPOSITORY)
    found = complaints(REPOSITORY)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
