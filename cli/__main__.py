"""``python -m fastrnn_cli`` is the program ``fastrnn``."""

from .main import main

if __name__ == "__main__":
    main()
