"""Random problems of thirteen kinds, judged by references that share nothing with the package."""
