"""Checkpoints: safetensors files with validated metadata, and the run folders that hold them."""
