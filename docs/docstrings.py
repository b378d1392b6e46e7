"""Griffe extension: sections of this project's docstrings in the form that Griffe's Google style parses."""

import griffe

CALL = "Call arguments:"


class Sections(griffe.Extension):
    """Rewrites them before they are parsed."""

    def on_object(self, *, obj, **kwargs):
        """Rewrites one docstring."""
        if obj.docstring:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text):
    """An indented section "Examples", and "Call arguments" as a section of parameters."""
    lines, example = [], False
    for line in text.splitlines():
        if line.strip() == "Example:":
            example = True
            lines.append("Examples:")
        elif line.strip() == CALL:
            lines.append(f"Other Parameters: {CALL[:-1]}")
        else:
            example = example and not (line.endswith(":") and line[:1].isupper() and " " not in line)
            lines.append(f"    {line}" if example and line else line)
    return "\n".join(lines)
