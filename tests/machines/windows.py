"""Run fastrnn on Wine with Python for Windows: ``python tests/machines/windows.py [ARGUMENTS]``.

Builds the machine in ``--root`` (once, 2 GB) from packages and wheels: Wine 10 of Debian 13, the files of CPython 3.13
for Windows that the wheel of Panda3D carries, Debian's copy of Python's library, and the wheels of NumPy and Numba for
Windows. ARGUMENTS are those of Python; without any it trains, resumes and samples a tiny model.

    python tests/machines/windows.py                                          # train, resume, sample: 2 minutes
    python tests/machines/windows.py -m pytest tests/test_os_compat.py tests/training/test_run_log.py

Needs root (for chroot), a relative of Debian on x86-64, pip and MinGW (apt-get install gcc-mingw-w64-x86-64-posix).
Wine is not Windows: its file locks and consoles are its own. Wine lacks C99's complex functions, which NumPy imports:
a small library stands in for them.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from debian import SOURCES, download_packages, install_wheels

_COMPILER = ["x86_64-w64-mingw32-gcc-posix", "-O1"]
_LAUNCHER = """
#include <windows.h>
int wmain(int argc, wchar_t **argv) {
    HMODULE library = LoadLibraryW(L"python313.dll");
    if (!library) return 99;
    return ((int (*)(int, wchar_t **))GetProcAddress(library, "Py_Main"))(argc, argv);
}
"""
# The C library of Windows has structures of its own for complex numbers.
_COMPLEX = """
#include <complex.h>
typedef struct { float r, i; } fc;
typedef struct { double r, i; } dc;
static float _Complex tf(fc a) { float _Complex z; __real__ z = a.r; __imag__ z = a.i; return z; }
static double _Complex td(dc a) { double _Complex z; __real__ z = a.r; __imag__ z = a.i; return z; }
static fc ff(float _Complex z) { fc a = {__real__ z, __imag__ z}; return a; }
static dc fd(double _Complex z) { dc a = {__real__ z, __imag__ z}; return a; }
fc x_FCbuild(float a, float b) { fc z = {a, b}; return z; }
dc x_Cbuild(double a, double b) { dc z = {a, b}; return z; }
"""
_MATH, _STAND_IN = b"api-ms-win-crt-math-l1-1-0.dll", b"xpi-ms-win-crt-math-l1-1-0.dll"
_COMPLEX_NAME = re.compile(r"c(?:real|imag|abs|arg|exp|log|pow|sqrt|sin|cos|tan|sinh|cosh|tanh)[fl]?")
_TRY = """
from fastrnn import Config, load, train
from fastrnn.training.api import resume
with open("text", "wb") as text:
    text.write(b"the quick brown fox jumps over the lazy dog. " * 60)
settings = dict(hidden=16, layers=1, batch=4, seq=16, threads=2, seed=1, valid=0.1, precision="float32")
print(train("text", Config(steps=10, **settings), "run").valid_nats)
print(resume("run", {"steps": 20}).valid_nats)
print(load("run").sample(length=60, seed=2))
"""


def build(root: Path) -> None:
    """Build the machine unless it is there."""
    home = root / "w/python"
    if (home / "python.exe").exists():
        return
    download_packages(root, "amd64", ["wine", "wine64", "bash", "coreutils"], root)
    for name in ("wine", "wineserver", "wineboot"):
        (root / f"usr/bin/{name}").unlink(missing_ok=True)
        (root / f"usr/bin/{name}").symlink_to(f"{name}-stable")
    if not (root / "usr/bin/sh").exists():
        (root / "usr/bin/sh").symlink_to("bash")
    # done by a script of the package otherwise
    shutil.copy(
        root / "usr/x86_64-w64-mingw32ucrt/lib/zlib1.dll", root / "usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
    )
    for name in ("proc", "dev", "sys", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)

    download_packages(root / "w", "amd64", ["libpython3.13-stdlib"], root / "w/debian")
    # sitecustomize.py is a link to a file in /etc
    ignored = shutil.ignore_patterns("lib-dynload", "sitecustomize.py")
    shutil.copytree(root / "w/debian/usr/lib/python3.13", home / "Lib", ignore=ignored, dirs_exist_ok=True)
    install_wheels(home / "Lib/site-packages", ["win_amd64"])
    _unpack_python(root / "w", home)
    _replace_complex_functions(home)
    subprocess.run(
        [*_COMPILER, "-municode", "-x", "c", "-", "-o", home / "python.exe"], input=_LAUNCHER, text=True, check=True
    )


def _unpack_python(folder: Path, home: Path) -> None:
    """Unpack the libraries and extension modules of CPython for Windows."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--platform", "win_amd64", "--only-binary"]
    subprocess.run([*command, ":all:", "--python-version", "3.13", "-d", str(folder), "panda3d"], check=True)
    (home / "DLLs").mkdir(exist_ok=True)
    with zipfile.ZipFile(next(folder.glob("panda3d-*.whl"))) as wheel:
        for member in wheel.namelist():
            path = Path(member)
            # not those for free-threaded Python, nor Tk; Wine lacks what _wmi asks for
            if path.parent.name != "deploy_libs" or re.search(r"cp313t|^(_wmi|_tkinter|t.l?k?86|api-ms)", path.name):
                continue
            beside_python = path.name.lower().startswith(("python3", "vcruntime"))
            target = home / ("" if beside_python else "DLLs") / path.name
            if path.suffix in (".dll", ".pyd"):
                target.write_bytes(wheel.read(member))


def _replace_complex_functions(home: Path) -> None:
    """Let extension modules that import complex functions import them from a library made here."""
    needed: set[str] = set()
    for module in home.rglob("*.pyd"):
        dump = subprocess.run(["x86_64-w64-mingw32-objdump", "-p", module], capture_output=True, text=True, check=True)
        found, library = set(), b""
        for line in dump.stdout.splitlines():
            if "DLL Name:" in line:
                library = line.split()[-1].encode()
            elif line.startswith(("The Export", "PE File Base")):
                library = b""
            elif library in (_MATH, _STAND_IN) and (name := re.fullmatch(r"\s+(?:\S+\s+)+([A-Za-z_]\w*)\s*", line)):
                found.add(name[1])
        if any(_COMPLEX_NAME.fullmatch(name) for name in found):
            needed |= found
            module.write_bytes(module.read_bytes().replace(_MATH, _STAND_IN))

    code, exports = [_COMPLEX], ["EXPORTS"]
    for name in sorted(needed):
        if _COMPLEX_NAME.fullmatch(name):
            code.append(_define(name))
        is_ours = _COMPLEX_NAME.fullmatch(name) or name in ("_FCbuild", "_Cbuild")
        exports.append(f"  {name} = x{name}" if is_ours else f"  {name} = ucrtbase.{name}")
    (home / "complex.c").write_text("\n".join(code), "utf-8")
    (home / "complex.def").write_text("\n".join(exports) + "\n", "utf-8")
    sources = [home / "complex.c", home / "complex.def"]
    subprocess.run([*_COMPILER, "-shared", "-static", *sources, "-o", home / _STAND_IN.decode()], check=True)


def _define(name: str) -> str:
    """C code of one complex function; a long double of Windows is a double."""
    base = re.sub(r"[fl]$", "", name) if name not in ("creal",) else name
    kind, number, to, back = ("fc", "float", "tf", "ff") if name.endswith("f") else ("dc", "double", "td", "fd")
    function = base + ("f" if name.endswith("f") else "")
    if base in ("creal", "cimag"):
        return f"{number} x{name}({kind} a) {{ return a.{base[1]}; }}"
    if base in ("cabs", "carg"):
        return f"{number} x{name}({kind} a) {{ return {function}({to}(a)); }}"
    if base == "cpow":
        return f"{kind} x{name}({kind} a, {kind} b) {{ return {back}({function}({to}(a), {to}(b))); }}"
    return f"{kind} x{name}({kind} a) {{ return {back}({function}({to}(a))); }}"


def run(root: Path, arguments: list[str]) -> int:
    """Run Python for Windows in a copy of the sources; return its exit status."""
    source = root / "w/source"
    shutil.rmtree(source, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files"], cwd=SOURCES, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCES / name, source / name)
    packages = root / "w/python/Lib/site-packages"
    for package, folder in (("fastrnn", "fastrnn"), ("fastrnn_cli", "cli"), ("fastrnn_datasets", "datasets")):
        shutil.rmtree(packages / package, ignore_errors=True)
        shutil.copytree(source / folder, packages / package)
    metadata = packages / "fastrnn-0.1.0.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fastrnn\nVersion: 0.1.0\n", "utf-8")

    mounted = [name for name in ("proc", "dev", "sys") if not any((root / name).iterdir())]
    for name in mounted:
        subprocess.run(["mount", "--bind", f"/{name}", root / name], check=True)
    environment = {
        "PATH": "/usr/bin", "HOME": "/root", "WINEPREFIX": "/w/prefix", "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=", "XDG_RUNTIME_DIR": "/tmp", "FASTRNN_KERNELS": r"Z:\w\kernels",
    }  # fmt: skip
    try:
        command = ["/usr/sbin/chroot", root, "/usr/bin/sh", "-c", 'cd /w/source; exec wine /w/python/python.exe "$@"']
        return subprocess.call([*command, "-", *arguments], env=environment, stdin=subprocess.DEVNULL)
    finally:
        subprocess.run(["/usr/sbin/chroot", root, "/usr/bin/wineserver", "-w"], env=environment, check=False)
        for name in mounted:
            subprocess.run(["umount", root / name], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="fastrnn on Wine with Python for Windows", allow_abbrev=False)
    parser.add_argument("--root", type=Path, default=Path(tempfile.gettempdir()) / "fastrnn-windows")
    options, arguments = parser.parse_known_args()
    build(options.root.resolve())
    sys.exit(run(options.root.resolve(), arguments or ["-c", _TRY]))


if __name__ == "__main__":
    main()
