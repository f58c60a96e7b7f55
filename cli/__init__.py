"""The command line: parse, build a configuration, call one function of the library, show."""
