"""Pages of the desk: one module a page or a group of pages, and `rendering` that they share."""
