"""Draw the badges of the README from pyproject.toml: ``python docs/figures/badges.py``."""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CHARACTER, PADDING = 6.6, 10  # pixels
SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" aria-label="{left}: {right}">
<rect width="{total}" height="20" rx="3" fill="#555"/>
<path d="M{split} 0h{width}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{width}z" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{middle_left}" y="14">{left}</text><text x="{middle_right}" y="14">{right}</text>
</g>
</svg>
"""


def badge(left: str, right: str, colour: str) -> str:
    """Return a badge with two texts as SVG."""
    split = round(len(left) * CHARACTER) + PADDING
    width = round(len(right) * CHARACTER) + PADDING
    return SVG.format(
        left=left, right=right, colour=colour, split=split, width=width - 3, total=split + width,
        middle_left=split / 2, middle_right=split + width / 2,
    )  # fmt: skip


def main() -> None:
    """Write ``python.svg`` and ``licence.svg`` beside this script."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    minors = [int(n) for line in project["classifiers"] for n in re.findall(r"Python :: 3\.(\d+)$", line)]
    versions = f"3.{min(minors)} - 3.{max(minors)}"
    (HERE / "python.svg").write_text(badge("python", versions, "#3572a5"), encoding="utf-8")
    (HERE / "licence.svg").write_text(badge("licence", project["license"], "#2e7d32"), encoding="utf-8")


if __name__ == "__main__":
    main()
