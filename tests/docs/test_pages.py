"""Tutorials and how-tos are walked through as they stand, in an empty folder each."""

import gzip
from pathlib import Path

import pytest

from backstory.lineage.store.engine import connect, describe
from tests.architecture.source_tree import REPOSITORY
from tests.databases import Databases
from tests.docs.walkthrough import check
from tests.object_store import make_bucket, served

DOCS = REPOSITORY / "docs"
CONVERSATIONS = DOCS / "tutorial/learn-from-conversations.md"
SHOP = DOCS / "tutorial/learn-from-a-shop.md"
POSTGRESQL = DOCS / "how-to/use-postgresql.md"
HOST = "db.example/lineage"  # what the page calls the database
OBJECT_STORE = DOCS / "how-to/use-an-object-store.md"
FED = {CONVERSATIONS, SHOP, POSTGRESQL, OBJECT_STORE}
ALONE = {*DOCS.glob("tutorial/*.md"), *DOCS.glob("how-to/*.md")} - FED


@pytest.mark.parametrize("page", sorted(ALONE), ids=lambda page: page.stem)
def test_a_page_is_true(page: Path, folder: Path) -> None:
    check(page, folder)


def test_the_shop_is_as_its_tutorial_says(shared_data: Path, folder: Path) -> None:
    packed = shared_data / "data/open-bandit/bts-women.csv.gz"
    (folder / "women.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    check(SHOP, folder)


def test_the_conversations_are_as_their_tutorial_says(shared_data: Path, folder: Path) -> None:
    packed = shared_data / "data/open-assistant/en_100_tree.jsonl.gz"
    (folder / "trees.jsonl").write_bytes(gzip.decompress(packed.read_bytes()))
    check(CONVERSATIONS, folder)


def test_postgresql_is_as_its_page_says(postgresql: Databases, folder: Path) -> None:
    url = postgresql.empty()
    shown = describe(connect(url))
    check(POSTGRESQL, folder, {f"postgresql://ada@{HOST}": url, f"postgresql://{HOST}": shown})


def test_the_object_store_is_as_its_page_says(folder: Path) -> None:
    with served():
        make_bucket("shop")
        check(OBJECT_STORE, folder)
