"""One file per command, each light to import: what is heavy is imported when the command runs."""
