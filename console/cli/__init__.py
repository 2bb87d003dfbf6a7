"""The command line: parser, output and exit codes over the one table of commands."""
