"""What MkDocs does not do by itself: the repository's pages and files outside of docs/.

A page links to files as they lie in the checkout, so that its links work where the repository is
read. On the site some pages from outside of docs/ have a name (`PAGES`), and every other file of
text that a page links to has a page that shows it, below ``files/``. A link to what is not there
stays as it is, and MkDocs says so. A link whose text is the name of a page shows its title here.

What docs/api.md names is on a page of its own, with the docstrings by mkdocstrings; wherever such a
name stands in a page, it leads there.
"""

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).resolve().parents[2]

#: The pages from outside of docs/, and what they are called on the site.
PAGES: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGES.md": "changes.md",
    "SECURITY.md": "reporting.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/go-gateway.md": "go-gateway.md",
    "loadgen/README.md": "loadgen.md",
}

_PLACES: Final = {uri: path for path, uri in PAGES.items()}

#: What is shown of a link, its target, and the anchor in that.
_LINK: Final = re.compile(r"([^\[\]\s]*\]\()([^)\s#]+)([^)\s]*\))")

#: What is shown where it is a file's name, as the repository's readers want it.
_FILE_NAME: Final = re.compile(r"[\w./-]+\.md\]\(")

#: A dotted name of the package, as code.
_PUBLIC: Final = re.compile(r"`(gnetway(?:\.\w+)+)`")

_TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)

#: Pygments' name of what a file's ending does not tell.
_LANGUAGES: Final = {"cfg": "ini", "md": "markdown", "service": "ini"}


def place(uri: str) -> str:
    """Return where in the checkout the page of a site's address lies."""
    return _PLACES.get(uri, f"docs/{uri}")


def linked(target: str, page: str) -> str | None:
    """Return the file of the checkout to which a page links, or None for what is no file there.

    ``page`` is the page's path in the checkout.
    """
    if re.match(r"[a-z]+:|/", target):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
    return path if not path.startswith("..") and (ROOT / path).is_file() else None


def address(path: str) -> str:
    """Return the address on the site of a file of the checkout."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"files/{path}.md"


@cache
def title(path: str) -> str:
    """Return the title of a page of the checkout."""
    found = _TITLE.search((ROOT / path).read_text())
    return found[1] if found else path


def rewritten(markdown: str, uri: str) -> str:
    """Return a page with its links to files of the checkout as links of the site."""
    page = place(uri)
    if uri.startswith("files/"):
        return markdown

    def link(found: re.Match[str]) -> str:
        path = linked(found[2], page)
        if path is None:
            return found[0]
        text = f"{title(path)}](" if _FILE_NAME.fullmatch(found[1]) else found[1]
        return text + posixpath.relpath(address(path), posixpath.dirname(uri)) + found[3]

    text = _LINK.sub(link, markdown)
    if uri == "python.md":
        return text
    return _PUBLIC.sub(lambda n: f"[{n[0]}][{n[1]}]" if n[1] in public_names() else n[0], text)


def shown(path: str) -> str:
    """Return a page that shows a file of the checkout."""
    text = (ROOT / path).read_text()
    ending = path.rpartition(".")[2]
    fence = "`" * 5
    return (
        f"# {path}\n\n{fence}{_LANGUAGES.get(ending, ending if '/' not in ending else 'text')}\n"
        f"{text.rstrip()}\n{fence}\n"
    )


@cache
def public_names() -> frozenset[str]:
    """Return the names of docs/api.md."""
    return frozenset(_PUBLIC.findall((ROOT / "docs" / "api.md").read_text()))


def reference() -> str:
    """Return a page with the docstrings of all public names, under the headings of docs/api.md."""
    lines = ["# Python reference", "", "The docstrings of what [api.md](api.md) names.", ""]
    known = set()
    for line in (ROOT / "docs" / "api.md").read_text().splitlines():
        if line.startswith("## "):
            lines += [line, ""]
        for name in _PUBLIC.findall(line):
            if name not in known:
                known.add(name)
                lines.append(f"::: {name}")
                if _is_module(name):
                    lines += ["    options:", "      members: false"]
                lines.append("")
    return "\n".join(lines)


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/, and those of files that pages link to."""
    for path, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    wanted = set()
    for file in files.documentation_pages():
        page = place(file.src_uri)
        paths = (linked(target, page) for _, target, _ in _LINK.findall(file.content_string))
        wanted |= {path for path in paths if path and address(path).startswith("files/")}
    files.append(File.generated(config, "python.md", content=reference()))
    for path in sorted(wanted):
        files.append(File.generated(config, address(path), content=shown(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Have a page's links lead to where its files are on the site."""
    del config, files
    if page.is_homepage:
        # It stands alone in its column.
        page.meta["hide"] = ["navigation"]
    if page.file.src_uri == "changes.md":
        # It has every word, and answers no question.
        page.meta["search"] = {"boost": 0.1}
    return rewritten(markdown, page.file.src_uri)
