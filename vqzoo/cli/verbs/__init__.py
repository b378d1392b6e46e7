"""One file for each verb: its help in the docstring, `add_arguments(parser)`, `run(arguments) -> exit status`.

The file is also imported for its help, which has to be quick: what needs Keras is imported where it is used.
"""
