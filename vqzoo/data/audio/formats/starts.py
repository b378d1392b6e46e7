"""What recordings begin with, in one table: for all that looks for where the next one begins."""

import re

_RIFF_GUID = bytes.fromhex("2e91cf11a5d628db04c10000")
# Format -> its first bytes, long enough to be rare inside audio data. Each begins with a plain byte, as `find_bytes`
# wants it. An mp3 has nothing of the kind.
STARTS = {
    "wav": re.compile(b"R(?:IFF|F64).{4}WAVE", re.DOTALL),
    "aiff": re.compile(b"FORM.{4}AIF[FC]", re.DOTALL),
    "caf": re.compile(b"caff\0\1\0\0"),
    "w64": re.compile(re.escape(b"riff" + _RIFF_GUID) + b".{8}wave", re.DOTALL),
    # The first block is always STREAMINFO, of 34 bytes.
    "flac": re.compile(b"fLaC[\x00\x80]\x00\x00\x22"),
    "ogg": re.compile(b"OggS\0[\0-\7]"),
    # Where the samples begin, how many bytes they are, their coding; in either order of bytes.
    "au": re.compile(rb"\.snd\0\0.{6}\0\0\0[\1-\x1b]", re.DOTALL),
    "au of other bytes": re.compile(rb"dns\..{2}\0\0.{4}[\1-\x1b]\0\0\0", re.DOTALL),
}


def begins(start):
    """Whether a recording begins like this.

    Args:
        start: bytes, the first 64.

    Returns:
        bool; False of an mp3.

    Example:
    >>> begins(b"OggS" + bytes(24)), begins(b"LIST" + bytes(24))
    (True, False)
    """
    return any(pattern.match(start) for pattern in STARTS.values())
