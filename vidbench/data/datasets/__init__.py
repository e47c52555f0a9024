"""Where videos and labels come from: one file a dataset."""
