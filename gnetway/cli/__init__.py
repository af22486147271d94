"""The ``gnetway`` command: one file a subcommand, or a few that belong together."""
