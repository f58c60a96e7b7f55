"""Command-line interface: parse options, build a `Config`, call the library, print the result."""
