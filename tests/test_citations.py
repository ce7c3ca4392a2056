"""Every citation in the tree names a page and a section that exist, in the form of (design: how to read a citation).

Looked at are comments and docstrings of Python files, and pages but for their code.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FOLDERS = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] not in "._")
TABLE = DOCS / "inherited-defects.md"
PAGES = {**{path.stem: path for path in DOCS.glob("*.md")}, "defects": TABLE}
NAMES = "|".join(sorted(PAGES, key=len, reverse=True))
BRACKETS = re.compile(rf"\(((?:{NAMES}): [^()]*)\)")
PARTIAL = re.compile(
    r"(?<![`\w])(?<!the )(?:design|flows|defects): (?=[a-zA-Z])|\b(?:design|flows)\.md,? (?:section )?\d"
)
DEFECT = r"[TPCDR]\d{1,2}"
BARE_DEFECT = re.compile(rf"(?<![\w./-]){DEFECT}(?![\w.])")
GONE = re.compile(r"\b(FLOWS|DESIGN)\b[ .](?:section )?\d|\breference/\w|\breference \d")


def files(folder: str) -> list[Path]:
    """What is looked at in a folder; of the uppermost, "", what stands in it itself."""
    found = ROOT.glob("*.md") if folder == "" else (ROOT / folder).rglob("*")
    own = Path(__file__).resolve()
    return sorted(path for path in found if path.suffix in (".py", ".md") and path.resolve() != own)


def prose_of_python(source: str) -> Iterator[str]:
    """Docstrings, those of attributes too, and comments, of which adjacent lines are one text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    comments: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and "noqa" not in token.string:
            line = token.start[0]
            comments[line] = f"{comments.pop(line - 1, '')} {token.string.lstrip('# ')}"
    yield from comments.values()


@functools.cache
def prose(path: Path) -> str:
    """The prose of a file, each piece with its white space made one blank."""
    source = path.read_text()
    pieces = prose_of_python(source) if path.suffix == ".py" else [re.sub(r"```.*?```", "", source, flags=re.DOTALL)]
    return "\n".join(" ".join(piece.split()) for piece in pieces)


@functools.cache
def sections(page: Path) -> dict[str, frozenset[str]]:
    """The sections of a page by their words in small letters, each with the numbers of its steps."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    parts = re.split(r"^#+ (?:\d+\. )?(.+)$", text, flags=re.MULTILINE)[1:]
    names = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", name).lower() for name in parts[::2])
    steps = (frozenset(re.findall(r"^(\d+)\. ", body, re.MULTILINE)) for body in parts[1::2])
    return dict(zip(names, steps, strict=True))


@functools.cache
def defects() -> frozenset[str]:
    """The ids of the table."""
    return frozenset(re.findall(rf"^\| ({DEFECT}) \|", TABLE.read_text(), re.MULTILINE))


def is_section(page: Path, words: str) -> bool:
    """Whether a page has this section, or this step of a section."""
    known = sections(page)
    section, _, step = words.rpartition(" ")
    return words in known or step in known.get(section, ())


def is_good(citation: str) -> bool:
    """Whether `PAGE: WORDS` names something that exists."""
    page, _, words = citation.partition(": ")
    if page not in PAGES:
        return False
    if page == "defects":
        return all(each in defects() for some in words.split(", ") for each in some.split(" to "))
    return is_section(PAGES[page], words)


def wrong(text: str) -> list[str]:
    """What a text cites that does not exist, or in a form that nobody can look up."""
    cited = [citation for bracket in BRACKETS.findall(text) for citation in bracket.split("; ")]
    bad = [citation for citation in cited if not is_good(citation)]
    rest = BRACKETS.sub("", text)
    loose = [match[0] for pattern in (PARTIAL, BARE_DEFECT, GONE) for match in pattern.finditer(rest)]
    pages = [name for name in re.findall(r"\bdocs/([\w-]+)\.md", text) if name not in PAGES]
    return bad + loose + pages


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_citations_of_a_folder_name_what_exists(folder: str) -> None:
    texts = {path: prose(path) for path in files(folder)}
    if TABLE in texts:
        texts[TABLE] = BARE_DEFECT.sub("", texts[TABLE])
    assert {str(path.relative_to(ROOT)): bad for path, text in texts.items() if (bad := wrong(text))} == {}


def test_every_layer_is_looked_at() -> None:
    assert {"actors", "config", "docs", "node", "runtime", "tests", "transport"} <= set(FOLDERS)
    assert all(len(files(folder)) >= 3 for folder in ("", "actors", "docs", "tests"))


def test_pages_are_cited() -> None:
    texts = " ".join(" ".join(path.read_text().split()) for folder in FOLDERS for path in files(folder))
    citations = (citation for bracket in BRACKETS.findall(texts) for citation in bracket.split("; "))
    cited = Counter(citation.partition(": ")[0] for citation in citations)
    assert min(cited[page] for page in ("design", "flows", "defects")) >= 10


@pytest.mark.parametrize(
    "text",
    [
        "settled (design: tickets)",
        "settled (flows: dial)",
        "settled (flows: dial 7)",
        "settled (membership: how news travels)",
        "settled (defects: P3)",
        "settled (defects: D8, D10)",
        "settled (defects: D1 to D12)",
        "settled (flows: end of a link 6; design: local blocks; defects: R1)",
        "see docs/flows.md, and `flows` is a module",
    ],
)
def test_good_citation_is_let_pass(text: str) -> None:
    assert wrong(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "no such section (design: nowhere)",
        "no such section (flows: dialling)",
        "no such step (flows: dial 99)",
        "no such section (membership: how a birth is noticed)",
        "no such row (defects: P99)",
        "one of two (defects: D8, D99)",
        "one of two (design: tickets; flows: nowhere)",
        "no such page (design: tickets; plans: tickets)",
        "no brackets, see design: tickets",
        "an id without its page (R1)",
        "an id without its page, defect D3",
        "the old form (FLOWS 3.1)",
        "the old form, DESIGN section 4",
        "the old form, `reference/tracker.md` 2.7",
        "the old form (membership reference 3.4)",
        "no such page docs/plans.md",
    ],
)
def test_wrong_citation_is_found(text: str) -> None:
    assert wrong(text) != []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Of a module (design: a) (design:\nb)."""', ["design: a", "design: b"]),
        ('def f():\n    """Of a function (flows: a)."""', ["flows: a"]),
        ('X = 1\n"""Of an attribute (flows: a)."""', ["flows: a"]),
        ("x = 1  # of a line (flows:\n# a)", ["flows: a"]),
        ('x = "a text (flows: a)"', []),
    ],
)
def test_citations_are_read_from_docstrings_and_comments(tmp_path: Path, source: str, expected: list[str]) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert BRACKETS.findall(prose(path)) == expected


@pytest.mark.parametrize("folder", ["", "docs"])
def test_anchor_of_a_link_is_a_heading(folder: str) -> None:
    for path in (path for path in files(folder) if path.suffix == ".md"):
        for page, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text()):
            text = (path.parent / page if page else path).read_text()
            names = (re.sub(r"[^\w -]", "", name.lower()) for name in re.findall(r"^#+ (.+)$", text, re.MULTILINE))
            assert anchor in {name.replace(" ", "-") for name in names}
