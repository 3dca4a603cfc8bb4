"""Which texts may have come before, told by a number for each instead of by hashing texts.

Keeps true: equal texts have equal keys. Different texts nearly never do, so "no" is certain and
"maybe" is for the caller to prove by the texts themselves. Keys live in memory alone.

Arrow's hash tables cost some 50 nanoseconds a text. A key costs a few multiplications, and a table
of slots by keys, sparsely filled, shows of nearly every other key at once that it is not there.

>>> index = KeyIndex(keys_of(pa.chunked_array([["a", "b", "c"]])))
>>> index.repeats, index.holds(keys_of(pa.chunked_array([["d", "c"]]))).to_pylist()
(False, [False, True])
"""

import pyarrow as pa
import pyarrow.compute as pc

KEYED_BYTES = 64  # of a text, from its end: what ids begin with is often the same

_WORD = 8
_FACTOR = 0xFF51AFD7ED558CCD  # odd, its bits without a pattern
_SPREAD = 0x9E3779B97F4A7C15  # another
_SLOT_BITS = (8, 30)  # of the smallest and the largest table
_SPARSE_BITS = 3  # eight slots for each key


def keys_of(texts: pa.ChunkedArray) -> pa.Array:
    """A number of 64 bits for each of some texts, none of which is null."""
    whole = texts.combine_chunks().cast(pa.binary())
    length = pc.min_max(pc.binary_length(whole))
    longest = length["max"].as_py() or 0
    width = max(_WORD, min(longest, KEYED_BYTES))
    if longest > width:
        whole = pc.binary_slice(whole, -width)
    if length["min"].as_py() != width:
        whole = pc.ascii_rpad(whole.view(pa.string()), width=width, padding="\0").view(pa.binary())
    keys = pa.repeat(pa.scalar(0, pa.uint64()), len(whole))
    for begin in range(0, width, _WORD):
        factor = pa.scalar(pow(_FACTOR, begin + 1, 1 << 64), pa.uint64())
        keys = pc.add(keys, pc.multiply(_word(whole, begin, width), factor))
    return keys


class KeyIndex:
    """Some keys, to be asked for others.

    Each key's slot names one of the keys that fall there; the others of a slot are few, and are
    looked for among themselves.

    Attributes:
        repeats: whether a key is there twice.
    """

    def __init__(self, keys: pa.Array) -> None:
        least, most = _SLOT_BITS
        self._bits = min(max(len(keys).bit_length() + _SPARSE_BITS, least), most)
        self._keys = keys
        slots = self._slots(keys)
        self._named = pc.inverse_permutation(
            slots, max_index=(1 << self._bits) - 1, output_type=pa.int32()
        )
        named = self._named.take(slots)
        is_unnamed = pc.not_equal(named, pa.arange(0, len(keys), 1).cast(pa.int32()))
        unnamed, namesakes = keys.filter(is_unnamed), keys.take(named.filter(is_unnamed))
        self._unnamed = pc.unique(unnamed)
        is_named = bool(pc.any(pc.equal(unnamed, namesakes)).as_py())
        self.repeats = is_named or len(self._unnamed) < len(unnamed)

    def holds(self, others: pa.Array) -> pa.Array:
        """Which of some other keys are there; false for all where none is."""
        named = self._named.take(self._slots(others))
        taken = named.is_valid()
        places, candidates = named.filter(taken), others.filter(taken)
        found = pc.or_(
            pc.equal(self._keys.take(places), candidates),
            pc.is_in(candidates, value_set=self._unnamed),
        )
        if not pc.any(found).as_py():
            return pa.repeat(pa.scalar(value=False), len(others))
        return pc.replace_with_mask(taken, taken, found)

    def _slots(self, keys: pa.Array) -> pa.Array:
        """The upper bits of a product, in which all bits of a key have a say."""
        shift = pa.scalar(64 - self._bits, pa.uint64())
        spread = pa.scalar(_SPREAD, pa.uint64())
        return pc.shift_right(pc.multiply(keys, spread), shift).cast(pa.int32())


def _word(texts: pa.Array, begin: int, width: int) -> pa.Array:
    """Eight bytes of each text as numbers; bytes behind the end are zero, as if it were longer."""
    beyond = max(0, begin + _WORD - width)
    _, _, data = pc.binary_slice(texts, begin - beyond, begin - beyond + _WORD).buffers()
    words = pa.Array.from_buffers(pa.uint64(), len(texts), [None, data])
    return pc.shift_right(words, pa.scalar(8 * beyond, pa.uint64())) if beyond else words
