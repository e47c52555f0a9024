"""``python -m vidbench``: the same as the ``vidbench`` command."""

if __name__ == "__main__":
    import sys

    # Here, because every decoding process imports this module, and has no use for the command.
    from vidbench.cli.main import main

    sys.exit(main())
