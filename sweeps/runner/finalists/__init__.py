"""The finalists: which recipes are retrained, over which seeds and images, and in what order."""
