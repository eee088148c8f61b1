"""The command line: thin commands over the packages. Nothing heavy is imported before a command needs it."""
