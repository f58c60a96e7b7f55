"""Many settings, one run each: `space` (which), `trial` (one), `running` (all), `book` and `journal` (results)."""
