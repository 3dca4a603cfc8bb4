import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError
from backstory.lake.manifest import Manifest, ManifestFile

GOLDEN = (
    "backstory-manifest v1\n"
    "table 7d1c9b1e-0000-7000-8000-000000000001\n"
    "version 3\n"
    'schema {"type":"struct","fields":[]}\n'
    f"part-a.parquet\t10\t2\t{'a' * 64}\t{{}}\n"
    'year=2026/part-b.parquet\t20\t5\t\t{"year":"2026","zone":null}\n'
)
GOLDEN_DIGEST = "cfb4f2aba29f41535a170ed34e56922860547fa972bc5b8fd4d7170c1339f384"

names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda name: name.strip("/.") == name
)
files = st.builds(
    ManifestFile,
    path=st.lists(names.filter(lambda n: "/" not in n), min_size=1, max_size=3).map("/".join),
    size=st.integers(min_value=0),
    rows=st.integers(min_value=0),
    sha256=st.sampled_from(["", "a" * 64]),
    partition=st.dictionaries(st.text(), st.none() | st.text(), max_size=2),
)


def golden() -> Manifest:
    return Manifest(
        table_id="7d1c9b1e-0000-7000-8000-000000000001",
        version=3,
        schema_json='{"type":"struct","fields":[]}',
        files=(
            ManifestFile(
                path="year=2026/part-b.parquet",
                size=20,
                rows=5,
                sha256="",
                partition={"zone": None, "year": "2026"},
            ),
            ManifestFile(path="part-a.parquet", size=10, rows=2, sha256="a" * 64),
        ),
    )


def test_the_text_form_stays_for_ever() -> None:
    assert golden().to_text() == GOLDEN
    assert golden().digest == GOLDEN_DIGEST
    assert Manifest.from_text(GOLDEN) == golden()
    assert (golden().rows, golden().size) == (7, 30)


@given(listed=st.lists(files, unique_by=lambda file: file.path, max_size=4), version=st.integers(0))
def test_text_and_manifest_determine_each_other(listed: list[ManifestFile], version: int) -> None:
    manifest = Manifest(table_id="t", version=version, schema_json="{}", files=tuple(listed))
    shuffled = Manifest(table_id="t", version=version, schema_json="{}", files=tuple(listed[::-1]))
    assert Manifest.from_text(manifest.to_text()) == manifest
    assert shuffled.digest == manifest.digest


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a/..", "a\tb", "a\nb", "a\rb", ".", "a/", "a/."]
)
def test_paths_stay_inside(path: str) -> None:
    with pytest.raises(IntegrityError):
        ManifestFile(path=path, size=1, rows=1, sha256="")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "backstory-manifest v2\n",
        GOLDEN[:-1],
        GOLDEN.replace("version 3", "version x"),
        GOLDEN.replace("\t10\t", "\tten\t"),
        GOLDEN.replace("\t{}", ""),
        GOLDEN.replace("{}", "{"),
        GOLDEN.replace("part-a.parquet", "../part-a.parquet"),
        "backstory-manifest v1\ntable t\n",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        Manifest.from_text(text)


def test_partition_values_are_json() -> None:
    line = ManifestFile(path="a", size=1, rows=1, sha256="", partition={"p": "tab\there"}).to_line()
    assert json.loads(line.split("\t")[4]) == {"p": "tab\there"}
