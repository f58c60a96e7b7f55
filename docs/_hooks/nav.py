"""Complete the navigation: an entry that ends in a slash stands for the pages of that folder, ``index.md`` first.

Entries of pages that do not exist are left out.
"""

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Expand the folders of ``nav``."""
    root = Path(config["docs_dir"])
    nav = []
    for entry in config["nav"]:
        ((title, target),) = entry.items()
        if not isinstance(target, str):
            nav.append(entry)
        elif target.endswith("/"):
            names = sorted((page.name for page in (root / target).glob("*.md")), key=lambda n: (n != "index.md", n))
            nav += [{title: [target + name for name in names]}] if names else []
        elif (root / target).exists():
            nav.append(entry)
    config["nav"] = nav
    return config
