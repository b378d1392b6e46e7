"""Captions of images, from a table."""

import os
import pathlib

from vqzoo.data.image.open import open_images
from vqzoo.data.image.source import ImageSource
from vqzoo.files import check_regular
from vqzoo.files import shown_path
from vqzoo.files import user_path
from vqzoo.names import check_name

MAX_BYTES = 2**29  # of a table
_LONGEST_LINE = 2**20  # characters
_FILE = "file"
_COLUMNS = ("caption", "name", "text")


class CaptionTable:
    r"""Captions of images: a tab-separated table in UTF-8 with a header line, and one image per line.

    The column `file` is relative to the folder of the table or of the images. An image in several lines has several
    captions. Lines without a file or a caption are skipped and recorded in `skipped`.

    Args:
        path: str or path of the table.
        column: str, the column of the captions. Default "": the first existing one of `caption`, `name` and `text`.

    Raises:
        ValueError: There is no such file or column, it has more than 2**29 bytes or a line of more than 2**20
            characters, it is not text in UTF-8, or no line has a file and a caption.

    Example:
    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "captions.tsv"
    >>> _ = path.write_text("file\tname\n1.png\tred heart\n2.png\t\n")
    >>> table = CaptionTable(path)
    >>> table.column, table.of(path.parent / "1.png"), table.of("2.png")
    ('name', ('red heart',), ())
    >>> table.skipped[f"{path}, line 3"]
    "no caption in the column 'name'"
    """

    def __init__(self, path, column=""):
        self.path = user_path(path)
        check_name(self.path)
        self.folder = self.path.absolute().parent
        self.skipped = {}
        lines = self._lines()
        header = next(lines, [""])
        self.column = self._column(header, column)
        self.captions = {}
        places = header.index(_FILE), header.index(self.column)
        for number, cells in enumerate(lines, start=2):
            file, caption = (cells[i].strip() if i < len(cells) else "" for i in places)
            if file and caption:
                key = pathlib.PurePath(file).as_posix()
                self.captions[key] = (*self.captions.get(key, ()), " ".join(caption.split()))
            elif any(cells):
                lacking = f"no caption in the column {self.column!r}" if file else "no file"
                self.skipped[f"{self.path}, line {number}"] = lacking
        if not self.captions:
            raise ValueError(
                f"No line of {shown_path(self.path)} has a file and a caption. Its columns are {', '.join(header)}, "
                f"and {self.column!r} is that of the captions: choose another column, or another table."
            )

    def of(self, file, root=None):
        """The captions of an image.

        Args:
            file: str or path.
            root: str or path, the folder of the images, to which the files of the table may be relative. Default None.

        Returns:
            Tuple of str, empty for none.
        """
        path = pathlib.PurePath(file)
        whole = pathlib.PurePath(os.path.abspath(path))
        below = [whole.relative_to(x) for x in (self.folder, _absolute(root)) if x and whole.is_relative_to(x)]
        found = (self.captions.get(name.as_posix(), ()) for name in (*below, whole, path))
        return next(filter(None, found), ())

    def pictures(self, data=""):
        """The images that have a caption.

        Args:
            data: str or path, as for `vqzoo.data.open_images`; "" for the files of the table itself.

        Returns:
            List of paths, or an `ImageSource`.

        Raises:
            ValueError: None of them has a caption, or as `open_images`.
        """
        if data:
            files = open_images(data)
            is_source = isinstance(files, ImageSource)
            found = [self.of_record(name) if is_source else self.of(name, data) for name in files]
            numbers = [i for i, captions in enumerate(found) if captions]
            files = files.subset(numbers) if is_source else [files[i] for i in numbers]
        else:
            files = [path for path in map(self.folder.joinpath, self.captions) if path.is_file()]
        if not len(files):
            first = next(iter(self.captions))
            raise ValueError(
                f"None of the {len(self.captions)} files that {shown_path(self.path)} names, such as {first!r}, is a "
                f"picture of {str(data or self.folder)!r}. They are relative to the table's folder or to --data."
            )
        return files

    def of_record(self, name):
        """The captions of an image of a source, whose name is shard/name.

        Args:
            name: str or path.

        Returns:
            Tuple of str, empty for none.
        """
        return self.of(pathlib.PurePath(*pathlib.PurePath(name).parts[1:]))

    def missing(self, *folders):
        """The missing files of the table.

        Args:
            *folders: str or path, further folders to search besides that of the table; "" for none.

        Returns:
            Dict name -> reason.
        """
        roots = [self.folder, *filter(None, map(_absolute, folders))]
        lost = [name for name in self.captions if not any((root / name).is_file() for root in roots)]
        return {name: f"{self.path.name} names it, but it does not exist" for name in lost}

    def _lines(self):
        """Yields the cells of each line."""
        try:
            check_regular(self.path)
            size = os.stat(self.path).st_size
            if size > MAX_BYTES:
                raise ValueError(
                    f"The table {shown_path(self.path)} has {size} bytes, and at most {MAX_BYTES} are read. Split it."
                )
            with open(self.path, encoding="utf-8-sig") as file:
                for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), ""), start=1):
                    if len(line) > _LONGEST_LINE:
                        raise ValueError(
                            f"Line {number} of {shown_path(self.path)} has more than {_LONGEST_LINE} characters. It is "
                            "not a table of captions. Give another file."
                        )
                    yield [cell.strip() for cell in line.removesuffix("\n").split("\t")]
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{shown_path(self.path)} is not text in UTF-8 ({error}). Save the table as UTF-8."
            ) from error
        except OSError as error:
            raise ValueError(
                f"The table {shown_path(self.path)} cannot be read: {error.strerror}. Give another file."
            ) from error

    def _column(self, header, column):
        wanted = (column,) if column else _COLUMNS
        chosen = next((name for name in wanted if name in header), None)
        lacking = [_FILE] * (_FILE not in header) + [" or ".join(wanted)] * (chosen is None)
        if lacking:
            raise ValueError(
                f"The first line of {shown_path(self.path)} names the columns, between tabs: `{_FILE}`, and that of "
                f"the captions. It has no column {' and no column '.join(lacking)}. Received: {', '.join(header)[:200]}"
            )
        return chosen


def _absolute(folder):
    return pathlib.Path(os.path.abspath(user_path(folder))) if folder else None
