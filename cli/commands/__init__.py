"""One module a command. Each imports the library inside its function, so that help and completion stay quick."""
