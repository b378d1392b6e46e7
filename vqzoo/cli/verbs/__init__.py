"""One file for each verb: its help in the docstring, `add_arguments(parser)`, `run(arguments) -> exit status`."""
