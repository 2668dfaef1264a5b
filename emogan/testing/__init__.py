"""What the tests share with experiments/fuzz.py: files that are made to break a reader."""
