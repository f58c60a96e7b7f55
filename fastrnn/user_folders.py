"""Folders for downloaded corpora and compiled kernels."""

import os
from collections.abc import Callable
from pathlib import Path


def user_data_folder() -> Path | None:
    """Return ``$FASTRNN_DATA`` or the platform's user data folder; None without a home directory."""
    import platformdirs

    return _chosen_or("FASTRNN_DATA", lambda: platformdirs.user_data_dir("fastrnn", appauthor=False))


def user_kernel_folder() -> Path | None:
    """Return ``$FASTRNN_KERNELS`` or the platform's user cache folder; None without a home directory."""
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
