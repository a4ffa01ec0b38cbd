"""`python -m covla.cli`."""

from covla.cli.main import main

if __name__ == "__main__":
    main()
