"""The command line: thin commands that call actions."""

import sys


def main() -> None:
    """Run a command: the entry point of `innkeeper`.

    Errors that the user must correct are printed as one sentence, without a traceback.
    """
    from innkeeper.cli.app import app
    from innkeeper.errors import ApiError, OperatorError

    try:
        app()
    except (OperatorError, ApiError) as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        sys.exit(1)
