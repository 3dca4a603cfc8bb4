"""Hashes of numbers, by which distinct ones are counted: MurmurHash3's finalizer of their 64 bits.

They are the same for ever. All of it are Arrow's kernels, which need no interpreter lock.

>>> distinct_numbers(pa.array([3, 3, 8], pa.int64())).estimate
2
"""

import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.distinct import HASHES, Distinct, K

_SPARE = 4  # so many times K hashes are expected below the first guess of where the K-th lies


def distinct_numbers(values: pa.Array) -> Distinct:
    """The sketch of 64-bit integers or floats without nulls; `-0.0` is `0.0`."""
    if pa.types.is_floating(values.type):
        values = pc.add(values, pa.scalar(0.0, values.type))
    hashes = _mixed(values.view(pa.uint64()))
    few = _SPARE * K
    if len(hashes) > few:  # sorting out repetitions costs most: first leave out what is too large
        bound = pa.scalar(HASHES // len(hashes) * few, pa.uint64())
        found = pc.unique(hashes.filter(pc.less(hashes, bound)))
        if len(found) >= K:
            return Distinct.of(found.to_pylist())
        hashes = pc.unique(hashes)
        smallest = pc.select_k_unstable(hashes, k=K, sort_keys=[("", "ascending")])
        hashes = hashes.take(smallest)
    return Distinct.of(hashes.to_pylist())


def _mixed(words: pa.Array) -> pa.Array:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        words = pc.multiply(_folded(words), pa.scalar(factor, pa.uint64()))
    return _folded(words)


def _folded(words: pa.Array) -> pa.Array:
    return pc.bit_wise_xor(words, pc.shift_right(words, pa.scalar(33, pa.uint64())))
