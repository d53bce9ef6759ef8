"""The command line: parses, asks the layers below, prints once, and turns errors into exit codes."""
