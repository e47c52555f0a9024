"""Files and folders: atomic writes, locks, hashes, large columns, remote stores."""
