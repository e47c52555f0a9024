"""Fetch files: downloads that resume and are verified, and safe extraction of archives."""

from vidbench.data.fetch.download import fetch as fetch
from vidbench.data.fetch.download import is_url as is_url
from vidbench.data.fetch.download import join_source as join_source
from vidbench.data.fetch.download import require_source as require_source
from vidbench.data.fetch.download import size_of as size_of
