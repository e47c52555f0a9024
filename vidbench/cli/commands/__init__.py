"""What each command of ``vidbench`` reads, calls and prints: ``vidbench NAME`` is ``NAME.py``."""
