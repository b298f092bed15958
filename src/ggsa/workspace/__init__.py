"""The base of every other package: params.yaml, paths, files, errors, progress and the tags."""
