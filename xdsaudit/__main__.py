"""``python -m xdsaudit``: the command line."""

from xdsaudit.cli.main import main

if __name__ == "__main__":
    main()
