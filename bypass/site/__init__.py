"""The site compiler: document root -> assets -> responses -> one read-only mappable image.

scan finds the files, source reads them, plan turns them into responses (heads, mime, errorpages),
index makes the path index, compile writes the image (layout), image opens and checks one.
"""
