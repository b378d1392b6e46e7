"""MkDocs hook: pictures of pages that lie elsewhere in the repository, beside the presets and the benchmarks.

A page names them as it would on GitHub, relative to itself: `![samples](../../saved_models/NAME/samples.png)`.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).parents[1]
OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:saved_models|tests/benchmarks)/[\w/.-]+\.png)\)")


def on_files(files, config):
    """Adds the pictures to the site, under pictures/."""
    for page in list(files.documentation_pages()):
        for path in OUTSIDE.findall(pathlib.Path(page.abs_src_path).read_text(encoding="utf-8")):
            if f"pictures/{path}" not in files.src_uris:
                files.append(File.generated(config, f"pictures/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Names them as the site has them."""
    folder = posixpath.dirname(page.file.src_uri)
    return OUTSIDE.sub(lambda found: f"]({posixpath.relpath(f'pictures/{found[1]}', folder or '.')})", markdown)
