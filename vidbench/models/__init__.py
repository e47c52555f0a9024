"""Pretrained classifiers: one file a family."""
