"""What everything stands on: params.yaml, paths, files, errors, progress and the vocabulary of tags."""
