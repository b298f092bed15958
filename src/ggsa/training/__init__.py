"""One cell trained, and studies made of cells."""
