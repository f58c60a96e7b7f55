"""``python -m fastrnn`` is the program ``fastrnn``."""

import importlib

if __name__ == "__main__":
    importlib.import_module("fastrnn_cli.main").main()
