"""Make sure that a wheel holds all that the library needs; see .github/workflows/tests.yml.

python Testing/Packaging/check_wheel.py dist/microctsr-*.whl
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# Folders of the repository, and where an installed library has them.
FOLDERS = {
    "MicroCTSR/microctsr_core": "microctsr_core",
    "Resources/SampleData": "microctsr_core/sample_data",
}


def wanted() -> set[str]:
    """Every file of the library, by its name in a wheel."""
    return {
        f"{place}/{path.relative_to(REPOSITORY / folder).as_posix()}"
        for folder, place in FOLDERS.items()
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def problems(wheel: Path) -> list[str]:
    """What a wheel lacks, and what it holds of which nobody knows; a sentence each."""
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    lacking = [f"{wheel.name} lacks {name}." for name in sorted(wanted() - held)]
    return lacking + [f"{wheel.name} holds {name} of nowhere." for name in sorted(held - wanted())]


if __name__ == "__main__":
    found = [problem for name in sys.argv[1:] for problem in problems(Path(name))]
    print("\n".join(found) or f"All {len(wanted())} files are there.")
    sys.exit(bool(found) or len(sys.argv) < 2)
