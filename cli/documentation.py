"""Where the documentation is: the address in the project's metadata, or the command ``help``."""

LABEL = "documentation"  # of `project.urls` in pyproject.toml


def describe_documentation() -> str:
    """Return where to read more, for help texts and messages.

    That is the URL called ``Documentation`` in the metadata of the installed package, which come from `project.urls` in
    ``pyproject.toml``; without one ``fastrnn help COMMAND``.
    """
    return f"documentation: {_read_address() or 'fastrnn help COMMAND'}"


def _read_address() -> str | None:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        entries = metadata("fastrnn").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a source tree that is not installed
        return None
    for entry in entries:
        label, _, address = entry.partition(",")
        if label.strip().lower() == LABEL:
            return address.strip() or None
    return None
