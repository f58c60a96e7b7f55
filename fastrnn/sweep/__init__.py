"""Hyper-parameter sweeps: `space` (configurations), `trial` (one run), `runner` (all), stores for the results."""
