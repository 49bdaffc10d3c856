"""Scripts and styles of the website, copied to its folder `static` as they are."""
