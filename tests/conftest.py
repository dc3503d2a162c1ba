"""One thread for each process, in tests as on the command line: a step is many small operations, and threads of several
workers would wait for each other at every one of them."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, here and in the workers that inherit it
