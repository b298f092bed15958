"""`python -m ggsa`: the command `ggsa`."""

from ggsa.cli.commands import main

if __name__ == "__main__":
    main()
