"""`python -m autoslicer`: the command line."""

import sys

from autoslicer.cli.main import main

sys.exit(main())
