"""`python -m pylos` is the command `pylos`."""

from pylos.cli import main

if __name__ == "__main__":
    main()
