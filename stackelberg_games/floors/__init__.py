"""Games on floor plans of cells, and their pictures."""
