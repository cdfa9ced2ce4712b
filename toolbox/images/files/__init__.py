"""Read and write picture files with their depth, color and metadata."""
