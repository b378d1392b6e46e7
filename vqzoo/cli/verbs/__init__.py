"""One file for each verb: its help in the docstring, `add_arguments(parser)`, `run(arguments) -> exit status`.

The file is imported for its help alone, too, which takes no seconds: what imports Keras is imported where it is used.
"""
