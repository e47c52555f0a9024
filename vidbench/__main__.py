"""``python -m vidbench``: the same as the ``vidbench`` command."""

if __name__ == "__main__":
    import sys

    # Imported here, because every decoding process imports this module but not the command.
    from vidbench.cli.main import main

    sys.exit(main())
