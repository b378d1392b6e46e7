"""Reads arrays of a `.npz` file, with a check of their sizes first.

It belongs to the bottom row of the package like `files`, because presets read tokens, and data reads word vectors.
"""

import math
import zipfile

import numpy as np

_LAST_LETTER = 0x10FFFF  # numpy accepts larger values, on which Python fails later


def read_arrays(file, names, most_bytes):
    """Reads arrays of a `.npz` file without pickle, and checks that their lengths match their headers.

    Args:
        file: path, or binary file at its start.
        names: sequence of str, the names of the arrays.
        most_bytes: int, the largest size of the whole file, uncompressed.

    Returns:
        Dict name -> numpy array.

    Raises:
        ValueError: the file is damaged, too large, lacks an array, or holds Python objects.

    Example:
    >>> import io
    >>> file = io.BytesIO()
    >>> np.savez(file, a=np.arange(3))
    >>> _ = file.seek(0)
    >>> read_arrays(file, ["a"], 1000)
    {'a': array([0, 1, 2])}
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            claim = sum(member.file_size for member in archive.infolist())
            if claim > most_bytes:
                raise _Refused(f"it claims {claim} bytes, and at most {most_bytes} are read")
            if not {f"{name}.npy" for name in names} <= set(members):
                wanted = f"array named {names[0]}" if len(names) == 1 else f"arrays named {' and '.join(names)}"
                held = ", ".join(map(ascii, list(members)[:5])).replace("'", "") or "nothing"
                raise _Refused(f"it has no {wanted}. It holds: {held[:200]}")
            return {name: _read(archive, members[f"{name}.npy"]) for name in names}
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # a damaged archive raises many types
        raise ValueError(f"it is damaged, or holds Python objects ({error or type(error).__name__})") from error


class _Refused(Exception):
    """A fault with a specific message."""


def _read(archive, member):
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if not dtype.hasobject and file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
            raise _Refused(f"it is damaged: {member.filename} claims {dtype} {shape} in {member.file_size} bytes")
    with archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind == "U" and array.dtype.itemsize and array.size:
        letters = np.ascontiguousarray(array).reshape(-1).view(array.dtype.str[0] + "u4")
        if letters.max() > _LAST_LETTER:
            raise _Refused(f"it is damaged: {member.filename} holds invalid characters")
    return array
