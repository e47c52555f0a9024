"""Files and folders: whole files, locks, hashes, large columns, remote stores."""
