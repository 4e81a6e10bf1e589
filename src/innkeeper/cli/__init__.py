"""The command line: thin commands that call actions."""

import sys


def main() -> None:
    """Run a command: the entry point of `innkeeper`.

    Errors that the user must correct are printed on one line, with every problem and no traceback.
    """
    from innkeeper.store.memory import collect_seldom

    # Before the other modules are loaded, which takes a fifth less time then.
    collect_seldom()
    from innkeeper.cli.app import app
    from innkeeper.errors import ApiError, OperatorError

    try:
        app()
    except (OperatorError, ApiError) as error:
        problems = error.errors if isinstance(error, ApiError) else [str(error)]
        print(f"innkeeper: {'; '.join(problems)}", file=sys.stderr)
        sys.exit(1)
