"""Property tests here are the same in every run, and none of them fails for being slow."""

from hypothesis import settings

settings.register_profile("fastrnn", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("fastrnn")
