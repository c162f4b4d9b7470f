"""`python -m punchgate` is the command `punchgate`."""

from punchgate.cli import main

if __name__ == "__main__":
    main()
