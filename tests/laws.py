"""How laws are tried on drawn examples: the same ones in every run, in a moment, with nothing kept between runs."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

few = settings(derandomize=True, deadline=None, max_examples=40, database=None)
fewer = settings(few, max_examples=12)  # of what takes long: each writes or prepares a session

seeds = st.integers(0, 2**32 - 1)
# Names as labs write them: anything that YAML and HDF5 can say, steering characters left out.
names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=12)
