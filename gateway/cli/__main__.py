"""`python -m gateway.cli`, for a checkout without the installed command."""

import sys

from gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
