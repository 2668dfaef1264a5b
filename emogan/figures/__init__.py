"""Pictures of a run: training curves, layer tables, the paper's figures."""
