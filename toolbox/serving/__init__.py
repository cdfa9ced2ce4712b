"""A local web page and an API that restore pictures, safe by default."""
