"""`python -m emollm` is the command line."""

from emollm.cli import main

if __name__ == "__main__":
    main()
