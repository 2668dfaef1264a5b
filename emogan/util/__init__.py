"""Files, processes, settings and pictures: what knows nothing of faces or networks."""
