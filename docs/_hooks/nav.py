"""Complete the navigation: an entry that ends in a slash stands for the pages of that folder, ``index.md`` first.

Entries of pages that do not exist are left out.
"""

from pathlib import Path
from typing import Any


def sort_pages(folder: Path) -> list[str]:
    """Return the names of a folder's pages: the index, then the others in the order in which it links to them."""
    index = folder / "index.md"
    links = index.read_text(encoding="utf-8") if index.exists() else ""
    names = [page.name for page in folder.glob("*.md")]
    return sorted(names, key=lambda n: (n != "index.md", links.find(f"]({n})"), n))


def on_config(config: Any) -> Any:
    """Expand the folders of ``nav``."""
    root = Path(config["docs_dir"])
    nav = []
    for entry in config["nav"]:
        ((title, target),) = entry.items()
        if not isinstance(target, str):
            nav.append(entry)
        elif target.endswith("/"):
            names = sort_pages(root / target)
            nav += [{title: [target + name for name in names]}] if names else []
        elif (root / target).exists():
            nav.append(entry)
    config["nav"] = nav
    return config
