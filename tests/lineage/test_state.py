"""The digest `v1` has a golden text: what was computed once must be computed for ever."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backstory.lineage.interaction import Interaction, PartStatus
from backstory.lineage.state import ModelState, Section, StatePart, in_order, state_text

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_DIGEST = "1f9915ec0b5b91cee7ce79c4a9b18d4bccced626b38f57955354a6c477d36871"

INTERACTION = Interaction(
    id="i", at=datetime(2026, 11, 14, tzinfo=UTC), model="ranker", version=7, request="{}"
)

PARTS = (
    StatePart(section=Section.VERSION, kind="model_version", ref="ranker@7"),
    StatePart(section=Section.ARTIFACT, kind="tree", ref="model", digest="a1" * 32),
    StatePart(
        section=Section.DEPLOYMENT,
        kind="canary",
        ref="env:prod-eu#3",
        detail="since 2026-11-13T08:00:00Z, share 0.1",
    ),
    StatePart(section=Section.COMPONENT, kind="prompt", ref="greeting@4", digest="b2" * 32),
    StatePart(section=Section.COMPONENT, kind="base_model", ref="hosted@2026-10"),
    StatePart(section=Section.PART, kind="chunk", ref="kb:2", digest="c3" * 32, detail='{"s":1}'),
    StatePart(section=Section.PART, kind="chunk", ref="kb:1\tx", digest="d4" * 32, detail="é\n"),
    StatePart(section=Section.TRAINING, kind="snapshot", ref="thumbs/en@58", digest="e5" * 32),
    StatePart(section=Section.TRIGGER, kind="threshold", ref="run:1", detail="10,214 rows"),
    StatePart(section=Section.CODE, kind="git", ref="0" * 40, digest="f6" * 32, detail="dirty"),
    StatePart(section=Section.ENVIRONMENT, kind="lock_file", ref="uv.lock", digest="07" * 32),
)


def make_state(parts: tuple[StatePart, ...] = PARTS) -> ModelState:
    return ModelState(interaction=INTERACTION, version="ranker@7", parts=parts)


def test_the_text_and_its_digest_stay_what_they_are() -> None:
    assert state_text(PARTS) == (GOLDEN / "state-v1.txt").read_text("utf-8")
    assert make_state().digest == GOLDEN_DIGEST


@given(st.permutations(PARTS))
def test_only_the_order_of_the_interactions_parts_matters(parts: list[StatePart]) -> None:
    own = [part for part in parts if part.section is Section.PART]
    expected = [part for part in PARTS if part.section is Section.PART]
    assert (make_state(tuple(parts)).digest == GOLDEN_DIGEST) == (own == expected)


@given(
    st.lists(
        st.builds(
            StatePart,
            section=st.sampled_from(Section),
            kind=st.text(),
            ref=st.text(),
            digest=st.none() | st.text(),
            detail=st.text(),
        ),
        max_size=4,
    )
)
def test_the_text_has_one_line_for_each_part(parts: list[StatePart]) -> None:
    lines = state_text(parts).split("\n")
    assert lines[0] == "backstory-state v1"
    assert lines[-1] == ""
    assert len(lines) == len(parts) + 2
    assert all(line.count("\t") == 4 for line in lines[1:-1])


def test_what_was_found_out_later_is_not_part_of_the_digest() -> None:
    checked = tuple(
        StatePart(
            section=p.section,
            kind=p.kind,
            ref=p.ref,
            digest=p.digest,
            detail=p.detail,
            status=PartStatus.MISSING,
            problem="gone",
        )
        for p in PARTS
    )
    assert make_state(checked).digest == make_state().digest
    assert make_state(checked).missing == tuple(in_order(checked))
    assert make_state().missing == ()


def test_every_field_that_determined_the_answer_changes_the_digest() -> None:
    first, *others = PARTS
    changed = [
        StatePart(section=Section.CODE, kind=first.kind, ref=first.ref),
        StatePart(section=first.section, kind="x", ref=first.ref),
        StatePart(section=first.section, kind=first.kind, ref="x"),
        StatePart(section=first.section, kind=first.kind, ref=first.ref, digest="x"),
        StatePart(section=first.section, kind=first.kind, ref=first.ref, detail="x"),
    ]
    digests = {make_state((part, *others)).digest for part in (first, *changed)}
    assert len(digests) == 6
