"""What MkDocs does to each page of the site besides: see `hooks` in mkdocs.yml."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, config: Any, **_ignored: Any) -> str:
    """Lead links out of Docs to the repository, for the site holds Docs alone."""
    return markdown.replace("](../", f"]({config.extra['repository']}/blob/main/")


def on_page_content(html: str, **_ignored: Any) -> str:
    """Leave out the roles that docstrings have for other tools, as in :func:`~.superresolve`."""
    return re.sub(r":(?:class|data|func|meth|mod):<code>~?\.*", "<code>", html)
