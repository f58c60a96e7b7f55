"""Unpack packages of Debian and wheels for another machine into a folder, without installing anything here."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
WHEELS = ("numpy>=2.0", "numba>=0.68,<0.70", "click>=8.3.3", "rich>=13.7", "platformdirs>=4.2", "pytest>=8.3",
          "hypothesis>=6.120", "safetensors>=0.5", "colorama")  # fmt: skip
_CONFIG = """
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Debug::NoLocking "1";
Dir::Etc::SourceList "{apt}/sources.list";
Dir::Etc::SourceParts "-";
Dir::State "{apt}/state";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}/cache";
"""


def download_packages(root: Path, architecture: str, names: Sequence[str], target: Path) -> None:
    """Download these packages and what they depend on, and unpack them into the folder ``target``."""
    apt = root / f"apt-{architecture}"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (apt / "sources.list").write_text(f"deb [signed-by={keyring}] {_find_repository()} trixie main\n", "utf-8")
    (apt / "apt.conf").write_text(_CONFIG.format(architecture=architecture, apt=apt), "utf-8")
    get = ["apt-get", "-q", "-c", str(apt / "apt.conf")]
    subprocess.run([*get, "update"], check=True)
    subprocess.run([*get, "-y", "--no-install-recommends", "--download-only", "install", *names], check=True)
    target.mkdir(exist_ok=True)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(target)], check=True)


def _find_repository() -> str:
    """The address that this machine gets Debian's packages from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return next(address for address in found if "security" not in address)


def install_wheels(target: Path, platforms: Sequence[str]) -> None:
    """Unpack the wheels that fastrnn and its tests need, for Python 3.13 on another platform."""
    options = [option for name in platforms for option in ("--platform", name)]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--target",
        str(target),
        *options,
        "--only-binary",
        ":all:",
    ]
    subprocess.run([*command, "--implementation", "cp", "--python-version", "3.13", *WHEELS], check=True)


def link_sources(target: Path) -> None:
    """Let a folder of packages contain this copy of fastrnn."""
    for package, folder in (("fastrnn", "fastrnn"), ("fastrnn_cli", "cli"), ("fastrnn_datasets", "datasets")):
        link = target / package
        link.unlink(missing_ok=True)
        link.symlink_to(SOURCES / folder)
    metadata = target / "fastrnn-0.1.0.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fastrnn\nVersion: 0.1.0\n", "utf-8")
