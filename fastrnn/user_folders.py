"""Where the user's corpora and compiled kernels are kept."""

import os
from collections.abc import Callable
from pathlib import Path


def user_data_folder() -> Path | None:
    """``$FASTRNN_DATA`` or the system's folder for a user's data; None for a user without a home directory."""
    import platformdirs

    return _chosen_or("FASTRNN_DATA", lambda: platformdirs.user_data_dir("fastrnn", appauthor=False))


def user_kernel_folder() -> Path | None:
    """``$FASTRNN_KERNELS`` or the system's folder for a user's caches; None for a user without a home directory."""
    import platformdirs

    return _chosen_or("FASTRNN_KERNELS", lambda: platformdirs.user_cache_dir("fastrnn", appauthor=False))


def _chosen_or(variable: str, default: Callable[[], str]) -> Path | None:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen)
    try:
        folder = Path(default())
    except RuntimeError:  # without a home directory some versions of platformdirs raise,
        return None
    return folder if folder.is_absolute() else None  # and others return "~/..."
