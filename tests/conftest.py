"""One thread for each worker of the tests and its children, unless somebody says otherwise.

The matrices are small: several threads mostly wait for each other, and the tests take twice as long. The
libraries read the variable once, so it is set before any of them is loaded.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
