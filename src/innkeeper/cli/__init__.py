"""The commands: thin, they call actions."""

import sys


def main() -> None:
    """Entry point of `innkeeper`: run a command; what its user must put right is one sentence."""
    from innkeeper.cli.app import app
    from innkeeper.errors import ApiError, OperatorError

    try:
        app()
    except (OperatorError, ApiError) as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        sys.exit(1)
