"""`python -m pacebench` is the command `pacebench`."""

import sys

from pacebench.cli.main import main

sys.exit(main())
