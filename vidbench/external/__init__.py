"""Score predictions of other programs, read from their files; nothing is unpickled or run."""
