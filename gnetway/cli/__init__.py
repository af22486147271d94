"""The ``gnetway`` command: one file a subcommand."""
