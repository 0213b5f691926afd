"""`python -m bypass` is the same as `bypass`."""

from bypass.cli.main import main

if __name__ == "__main__":
    main()
