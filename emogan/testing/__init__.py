"""What the tests share with scripts: files that are made to break a reader, and a browser for the page."""
