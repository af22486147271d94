"""``python -m gnetway``: the gnetway command, where it is not installed."""

import sys

from gnetway.cli.main import main

sys.exit(main())
