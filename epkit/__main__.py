"""``python -m epkit``: the same as the command ``epkit``."""
from __future__ import annotations

import sys

from epkit.cli import main

sys.exit(main())
