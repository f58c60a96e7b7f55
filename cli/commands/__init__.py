"""One module per command. Each imports the library inside its function, to keep help and completion fast."""
