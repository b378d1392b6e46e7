"""Griffe extension: the docstrings and the public names of this project in the form that Griffe understands."""

import griffe

CALL = "Call arguments:"


class Project(griffe.Extension):
    """Rewrites docstrings before they are parsed, and public names before they are shown."""

    def on_package(self, *, pkg, **kwargs):
        """Rewrites a whole package."""
        everything = list(below(pkg))
        for thing in everything:
            if thing.docstring:
                thing.docstring.value = rewritten(thing.docstring.value)
        for thing in everything:
            if thing.is_module and thing.is_init_module:
                prefer_functions(thing)


def below(thing):
    """An object, and all that are defined in it."""
    yield thing
    for member in thing.members.values():
        if not member.is_alias:
            yield from below(member)


def prefer_functions(package):
    """A public name is the function, not the file of the same name that the function is in."""
    for name in map(str, package.exports or ()):
        file = package.members[name]
        file = file.final_target if file.is_alias else file
        if file.is_module and name in file.members:
            package.members[name] = griffe.Alias(name, file.members[name], parent=package)


def rewritten(text):
    """Docstring with an indented section "Examples", and "Call arguments" as a section of parameters."""
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
