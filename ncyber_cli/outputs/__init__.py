"""What a run leaves behind: results files, metrics, provenance. Takes arrays, never a model."""
