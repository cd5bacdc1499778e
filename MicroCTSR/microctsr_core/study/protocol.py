"""What raters are asked: the paper's protocol by default, in two text files that can be edited."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ReadError

STARS = 6
"""The best rating; the poorest is 1."""

MOST_CRITERIA = 6
"""Criteria that fit onto the rater's page."""

INSTRUCTIONS = """\
You will see pairs of images, one pair after another. On the left is a slice of a clinical CT of
the temporal bone, enlarged by cubic interpolation. On the right is the same slice after it was
made sharper by one of several methods. Which one is not told, and they come in random order.

Please give the image on the right one to six stars, where one is poor and six is excellent, for
each of the criteria below the images. The image on the left is there to compare with.

Judge every pair by itself. Some come twice. There is no time limit, and you can stop whenever you
like: every rating is stored as you give it, and your link takes you back to where you stopped.

A room with dimmed light and a clean screen help. These images are synthetic, not for diagnosis.
"""
"""Shown before the first pair; a blank line separates paragraphs."""

CRITERIA = """\
Resolution and noise
How fine the details are that can be told apart, and how little noise and blur disturb them.

Shape and structure
How true to the anatomy the shapes are: walls, canals, air cells, ossicles.
"""
"""A paragraph for each criterion: a line with its name, then lines that explain it."""


@dataclass(frozen=True)
class Criterion:
    """What stars are given for.

    Args:
        name: a few words.
        explanation: a sentence or two; may be empty.
    """

    name: str
    explanation: str = ""


def read_criteria(path: Path) -> tuple[Criterion, ...]:
    """The criteria in a text file, in the order in which they are asked.

    Raises:
        ReadError: the file is missing, or holds no criterion, too many, or one name twice.
    """
    criteria = []
    for paragraph in paragraphs(path):
        name, _, explanation = paragraph.partition("\n")
        criteria.append(Criterion(name.strip(), " ".join(explanation.split())))
    if not 1 <= len(criteria) <= MOST_CRITERIA:
        raise ReadError(
            f"{path} holds {len(criteria)} criteria; write 1 to {MOST_CRITERIA}, a paragraph for "
            f"each: a line with its name, then what it means."
        )
    names = [criterion.name for criterion in criteria]
    for name in names:
        if names.count(name) > 1:
            raise ReadError(f"{path} has two criteria called {name!r}; give each its own name.")
    return tuple(criteria)


def paragraphs(path: Path) -> list[str]:
    """The paragraphs of a text file, which blank lines separate.

    Raises:
        ReadError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReadError(f"{path} cannot be read ({error.strerror}); put it back.") from None
    except UnicodeDecodeError:
        raise ReadError(f"{path} is not text in UTF-8; save it as UTF-8.") from None
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
